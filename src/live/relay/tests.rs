use tokio::time::timeout;

use super::*;

/// More than any test takes that passes.
const PATIENCE: Duration = Duration::from_secs(20);

/// For how long nothing must come.
const SILENCE: Duration = Duration::from_millis(100);

/// A relay to a port at which the test listens.
struct Lab {
    relay: Relay,
    target: TcpListener,
    _serving: JoinSet<()>,
}

impl Lab {
    async fn new() -> Self {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (relay, serving) = Relay::bind(target.local_addr().unwrap()).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serving);
        Self {
            relay,
            target,
            _serving: tasks,
        }
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.relay.address()).await.unwrap()
    }

    async fn accept(&self) -> TcpStream {
        let accepted = timeout(PATIENCE, self.target.accept()).await;
        accepted.unwrap().unwrap().0
    }

    async fn connection(&self) -> (TcpStream, TcpStream) {
        let dialler = self.dial().await;
        (dialler, self.accept().await)
    }
}

/// What comes next, of this length.
async fn hear(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut heard = vec![0; length];
    let reading = stream.read_exact(&mut heard);
    timeout(PATIENCE, reading).await.unwrap().unwrap();
    heard
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(SILENCE, stream.read_u8()).await.is_err()
}

/// How a stream ends.
async fn end(stream: &mut TcpStream) -> io::Result<usize> {
    timeout(PATIENCE, stream.read(&mut [0; 8])).await.unwrap()
}

fn is_reset(ended: &io::Result<usize>) -> bool {
    matches!(ended, Err(error) if error.kind() == io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn bytes_and_ends_go_both_ways() {
    let lab = Lab::new().await;
    let (mut dialler, mut target) = lab.connection().await;
    dialler.write_all(b"there").await.unwrap();
    assert_eq!(hear(&mut target, 5).await, b"there");
    dialler.shutdown().await.unwrap();
    assert_eq!(end(&mut target).await.unwrap(), 0);
    target.write_all(b"back").await.unwrap();
    assert_eq!(hear(&mut dialler, 4).await, b"back");
    drop(target);
    assert_eq!(end(&mut dialler).await.unwrap(), 0);
}

#[tokio::test]
async fn a_relay_knows_which_connections_belong_together() {
    let lab = Lab::new().await;
    let (mut dialler, mut target) = lab.connection().await;
    // What is led on was connected before.
    dialler.write_all(b"x").await.unwrap();
    hear(&mut target, 1).await;
    let pair = Pair {
        dialled: (dialler.local_addr().unwrap(), dialler.peer_addr().unwrap()),
        onward: (target.peer_addr().unwrap(), target.local_addr().unwrap()),
    };
    assert_eq!(lab.relay.pairs(), [pair]);
}

#[tokio::test]
async fn what_a_cut_holds_up_arrives_when_it_is_healed() {
    let lab = Lab::new().await;
    let (mut dialler, mut target) = lab.connection().await;
    lab.relay.cut(Way::There);
    lab.relay.cut(Way::There);
    dialler.write_all(b"late").await.unwrap();
    target.write_all(b"back").await.unwrap();
    assert_eq!(hear(&mut dialler, 4).await, b"back");
    assert!(is_silent(&mut target).await);
    lab.relay.heal(Way::There);
    assert!(is_silent(&mut target).await, "one cut is left");
    lab.relay.heal(Way::There);
    assert_eq!(hear(&mut target, 4).await, b"late");
}

#[tokio::test]
async fn the_end_of_one_end_does_not_pass_a_cut() {
    let lab = Lab::new().await;
    let (mut dialler, target) = lab.connection().await;
    lab.relay.cut(Way::Back);
    target.set_zero_linger().unwrap();
    drop(target);
    dialler.write_all(b"is anybody there?").await.unwrap();
    assert!(is_silent(&mut dialler).await);
    lab.relay.heal(Way::Back);
    assert!(is_reset(&end(&mut dialler).await));
}

#[tokio::test]
async fn a_connection_over_a_cut_hangs_until_it_is_healed() {
    let lab = Lab::new().await;
    lab.relay.cut(Way::Back);
    let mut patient = lab.dial().await;
    patient.write_all(b"hello").await.unwrap();
    drop(lab.dial().await);
    assert!(timeout(SILENCE, lab.target.accept()).await.is_err());
    lab.relay.heal(Way::Back);
    let mut target = lab.accept().await;
    assert_eq!(hear(&mut target, 5).await, b"hello");
    let another = timeout(SILENCE, lab.target.accept()).await;
    assert!(another.is_err(), "who gave up never came through");
}

#[tokio::test]
async fn a_severed_connection_is_reset_at_both_ends() {
    let lab = Lab::new().await;
    let (mut dialler, mut target) = lab.connection().await;
    lab.relay.sever();
    assert!(is_reset(&end(&mut dialler).await));
    assert!(is_reset(&end(&mut target).await));
    let (mut dialler, mut target) = lab.connection().await;
    dialler.write_all(b"again").await.unwrap();
    assert_eq!(hear(&mut target, 5).await, b"again");
}

#[tokio::test]
async fn who_refuses_keeps_its_connections() {
    let lab = Lab::new().await;
    let (mut dialler, mut target) = lab.connection().await;
    lab.relay.refuse(true);
    // The port is closed by a task.
    let refused = async {
        while TcpStream::connect(lab.relay.address()).await.is_ok() {
            sleep(AGAIN).await;
        }
    };
    timeout(PATIENCE, refused).await.unwrap();
    dialler.write_all(b"still").await.unwrap();
    assert_eq!(hear(&mut target, 5).await, b"still");
    lab.relay.refuse(false);
    let accepted = async {
        while TcpStream::connect(lab.relay.address()).await.is_err() {
            sleep(AGAIN).await;
        }
    };
    timeout(PATIENCE, accepted).await.unwrap();
}

#[tokio::test]
async fn nobody_behind_a_relay_is_a_reset() {
    let lab = Lab::new().await;
    let Lab {
        relay,
        target,
        _serving,
    } = lab;
    drop(target);
    let mut dialler = TcpStream::connect(relay.address()).await.unwrap();
    assert!(is_reset(&end(&mut dialler).await));
}

#[tokio::test]
async fn latency_and_bandwidth_take_their_time_and_lose_nothing() {
    let lab = Lab::new().await;
    lab.relay.slow(Way::There, Duration::from_millis(60));
    lab.relay.slow(Way::Back, Duration::from_millis(40));
    let begun = Instant::now();
    let (mut dialler, mut target) = lab.connection().await;
    assert!(begun.elapsed() >= Duration::from_millis(60));
    let begun = Instant::now();
    dialler.write_all(b"ping").await.unwrap();
    hear(&mut target, 4).await;
    assert!(begun.elapsed() >= Duration::from_millis(60));
    target.write_all(b"pong").await.unwrap();
    hear(&mut dialler, 4).await;
    assert!(begun.elapsed() >= Duration::from_millis(100));

    lab.relay.slow(Way::There, Duration::ZERO);
    let bandwidth = Bandwidth {
        rate: 100_000,
        queue: 1000,
    };
    lab.relay.limit(Way::There, Some(bandwidth));
    let begun = Instant::now();
    let sent: Vec<u8> = (0..20_000_u32)
        .map(|number| number.to_le_bytes()[0])
        .collect();
    dialler.write_all(&sent).await.unwrap();
    assert_eq!(hear(&mut target, sent.len()).await, sent);
    assert!(begun.elapsed() >= Duration::from_millis(200));
}
