//! The real server with clients like those of the course, which send one line per connection,
//! half-close, and read once.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::deploy::herd::{Files, within};

/// Sends some bytes, closes the sending half, and returns all bytes until the server closes.
async fn told(at: &str, bytes: &[u8]) -> Vec<u8> {
    let talk = async {
        let mut stream = TcpStream::connect(at).await.expect("a connection");
        // A line that is too long is answered before it is read completely.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .await
            .expect("an orderly end");
        answer
    };
    within("an answer", talk).await
}

/// The text after the skew of an answer, if the answer is an AT line of Riley with nine digits in
/// its skew.
fn at_riley(answer: &[u8]) -> Option<&str> {
    let answer = std::str::from_utf8(answer).ok()?;
    let (skew, told) = answer.strip_prefix("AT Riley ")?.split_once(' ')?;
    let (whole, nanos) = skew.strip_prefix(['+', '-'])?.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(nanos) && nanos.len() == 9).then_some(told)
}

#[tokio::test]
async fn lines_are_taken_or_copied_as_the_course_has_it() {
    let files = Files::new().await;
    let mut riley = files.serve("Riley", &[]);
    riley.logs("listens at").await;
    let at = files.address("Riley");
    // The line may lack its terminator, or have white space before it.
    for end in ["", "\n", "\r\n", "\x0b\n", " \t\x0c\n"] {
        let answer = told(&at, format!("IAMAT a +34-118 5{end}").as_bytes()).await;
        assert_eq!(at_riley(&answer), Some("a +34-118 5\n"), "{end:?}");
    }
    for good in [
        "a +34.068930-118.445127 1621464827.959498503",
        "a -33.8670522+151.1957362 0",
        "a +90-180 1621464827",
        "a -0+000.000 5.5",
    ] {
        let answer = told(&at, format!("IAMAT {good}").as_bytes()).await;
        assert_eq!(at_riley(&answer), Some(&*format!("{good}\n")), "{good}");
    }
    told(&at, b"IAMAT kiwi +1-1 5").await;
    for good in ["kiwi 50 20", "kiwi 50.0 20", "kiwi 0 0", "kiwi 0.001 1"] {
        let answer = told(&at, format!("WHATSAT {good}").as_bytes()).await;
        let answer = at_riley(&answer).expect("an AT line");
        assert!(
            answer.starts_with("kiwi +1-1 5\n{") && answer.ends_with("}\n\n"),
            "{answer}"
        );
    }
    let long = "x".repeat(4096);
    for bad in [
        "",
        " ",
        "IAMAT a --999.9 5",
        "IAMAT a 34-118 5",
        "IAMAT a +34118 5",
        "IAMAT a +90.0001+0 5",
        "IAMAT a +0-180.0001 5",
        "IAMAT a +1-1 -5",
        "IAMAT a +1-1 1e3",
        "IAMAT a +1-1 nan",
        "IAMAT a +1-1 inf",
        "IAMAT a +1-1 5.0123456789",
        "IAMAT a +1-1 99999999999",
        "IAMAT a +1-1",
        "iamat a +1-1 5",
        "WHATSAT kiwi 50.0001 5",
        "WHATSAT kiwi -1 5",
        "WHATSAT kiwi 10 21",
        "WHATSAT kiwi 10 -1",
        "WHATSAT kiwi 10 5.0",
        "WHATSAT nobody 10 5",
        "AT Riley +1.000000000 nobody +1-1 5",
        &long,
    ] {
        let answer = told(&at, format!("{bad}\n").as_bytes()).await;
        assert_eq!(String::from_utf8_lossy(&answer), format!("? {bad}\n"));
    }
    let longer = told(&at, format!("{long}y\nIAMAT a +1-1 5\n").as_bytes()).await;
    assert_eq!(String::from_utf8_lossy(&longer), format!("? {long}\n"));
    // Without a line there is no answer.
    assert_eq!(told(&at, b"").await, b"");
    let two = told(&at, b"IAMAT a +1-1 5\n\nIAMAT b +2-2 5").await;
    assert_eq!(two.split(|&byte| byte == b'\n').count(), 4);
}

#[tokio::test]
async fn who_reads_once_has_the_whole_answer() {
    let files = Files::new().await;
    let mut riley = files.serve("Riley", &[]);
    riley.logs("listens at").await;
    let mut stream = TcpStream::connect(files.address("Riley"))
        .await
        .expect("a connection");
    let mut once = async |line: &str| {
        stream.write_all(line.as_bytes()).await.expect("it is open");
        let mut bytes = vec![0; 100_000];
        let length = within("an answer", stream.read(&mut bytes))
            .await
            .expect("it is open");
        bytes.truncate(length);
        bytes
    };
    let answer = once("IAMAT kiwi +34.068930-118.445127 5\n").await;
    assert_eq!(at_riley(&answer), Some("kiwi +34.068930-118.445127 5\n"));
    for _ in 0..20 {
        let answer = once("WHATSAT kiwi 10 5\n").await;
        let json = at_riley(&answer).and_then(|told| told.split_once('\n'));
        let (_, json) = json.expect("two parts");
        assert!(json.starts_with('{') && json.ends_with("}\n\n"), "{json}");
    }
}
