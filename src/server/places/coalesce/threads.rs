use std::sync::Arc;

use shuttle::future::block_on;

use super::InFlight;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{check, thread};

#[derive(Default)]
struct Story {
    in_flight: InFlight<&'static str, usize>,
    /// The number of requests that were begun.
    begun: AtomicUsize,
    ended: AtomicUsize,
}

/// The response to a query, from a request of its own or another's.
fn fetch(story: &Arc<Story>) -> usize {
    let begin = |tell| {
        let story = Arc::clone(story);
        let number = story.begun.fetch_add(1, Ordering::SeqCst);
        // What is in flight is joined, and not begun again.
        assert_eq!(story.ended.load(Ordering::SeqCst), number);
        thread::spawn(move || {
            story.ended.fetch_add(1, Ordering::SeqCst);
            story.in_flight.end(&"query", &tell, number);
        });
    };
    let mut answer = story.in_flight.join(&"query", begin);
    block_on(answer.recv()).expect("a request gives everybody a response")
}

#[test]
fn whoever_joins_a_request_gets_its_response() {
    check(4000, || {
        let story = Arc::<Story>::default();
        let asking = [(); 2].map(|()| {
            let story = Arc::clone(&story);
            thread::spawn(move || [fetch(&story), fetch(&story)])
        });
        for asked in asking {
            let [first, second] = asked.join().expect("no panic");
            // A response is cached for nobody who comes after it.
            assert!(first < second, "{second} after {first}");
        }
        assert!(story.in_flight.lock().is_empty());
    });
}
