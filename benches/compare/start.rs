//! How long a server takes from its start to its first answer, with many records on its disk.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::{Result, Running, folder, folder_path, spread};

/// The number of lines in flight while the folder is filled.
const WINDOW: usize = 1000;

/// Fills a folder by way of a server, then starts a server on it again and again.
pub(crate) async fn measure(records: usize, rounds: f64) -> Result<()> {
    folder("start")?;
    let filling = Running::own("again", false)?;
    fill(&filling, records).await?;
    // It writes in the background, and a snapshot once the log is long enough.
    let mut before = 0;
    loop {
        sleep(Duration::from_secs(1)).await;
        let bytes = held()?;
        if bytes == before {
            break;
        }
        before = bytes;
    }
    drop(filling);
    let mut times = Vec::new();
    let mut round = 0.0;
    while round < rounds {
        let began = Instant::now();
        let running = Running::own("again", false)?;
        fill(&running, 1).await?;
        times.push(began.elapsed().as_secs_f64());
        drop(running);
        round += 1.0;
    }
    let [least, median, most] = spread(times.into_iter());
    let megabytes = before / 1_000_000;
    println!(
        "\nfrom the start to the first answer, {records} records, {megabytes} MB on disk: {median:.2} s ({least:.2} to {most:.2})"
    );
    Ok(())
}

/// The number of bytes in the folder.
fn held() -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder_path("start"))? {
        // A file may be replaced meanwhile.
        bytes += entry?.metadata().map_or(0, |file| file.len());
    }
    Ok(bytes)
}

/// Sends one update for each of `records` clients, and reads the answers.
async fn fill(server: &Running, records: usize) -> Result<()> {
    let stream = TcpStream::connect(server.address).await?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut answer = String::new();
    let mut done = 0;
    while done < records {
        let part = WINDOW.min(records - done);
        let line = |number| {
            format!("IAMAT client-{number:019} +34.068930-118.445127 1621464827.959498503\n")
        };
        let lines: String = (done..done + part).map(line).collect();
        writer.write_all(lines.as_bytes()).await?;
        for _ in 0..part {
            answer.clear();
            reader.read_line(&mut answer).await?;
            if !answer.starts_with("AT ") {
                return Err(format!("refused: {answer}").into());
            }
        }
        done += part;
    }
    Ok(())
}
