//! The limit of a server that answers when a record is on the disk: a bare program that appends the
//! bytes of each answer to a file, syncs it for all who wait, and then answers.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use proxy_herd::net::{Net as _, tokio::TokioNet};

use super::limit::{Map, answer, each_line};

/// What is appended, and how far the file is.
#[derive(Default)]
struct Log {
    pending: RefCell<Vec<u8>>,
    /// The number of bytes that were ever appended, and of those that are synced.
    appended: Cell<usize>,
    synced: Cell<usize>,
    work: Notify,
    done: Notify,
}

/// Serves for ever, on the calling thread; a thread of the runtime appends and syncs.
pub(crate) async fn serve(listener: TcpListener, folder: &Path) -> io::Result<()> {
    let file = Arc::new(File::create(folder.join("log"))?);
    let (log, map) = (Rc::new(Log::default()), Rc::new(RefCell::new(Map::new())));
    let mut tasks = JoinSet::new();
    let keeper = Rc::clone(&log);
    tasks.spawn_local(async move { keep(&keeper, &file).await });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (log, map) = (Rc::clone(&log), Rc::clone(&map));
        tasks.spawn_local(async move { converse(stream, &log, &map).await });
    }
}

async fn keep(log: &Log, file: &Arc<File>) -> io::Result<()> {
    loop {
        let bytes = log.pending.take();
        if bytes.is_empty() {
            log.work.notified().await;
            continue;
        }
        let (upto, file) = (log.appended.get(), Arc::clone(file));
        #[expect(clippy::disallowed_methods, reason = "a real disk blocks")]
        let saved = tokio::task::spawn_blocking(move || {
            (&*file).write_all(&bytes)?;
            file.sync_data()
        });
        saved.await.map_err(io::Error::other)??;
        log.synced.set(upto);
        log.done.notify_waiters();
    }
}

async fn converse(mut stream: TcpStream, log: &Log, map: &RefCell<Map>) -> io::Result<()> {
    let mut buffer: Vec<u8> = Vec::with_capacity(64 * 1024);
    let (mut out, mut skew) = (Vec::with_capacity(64 * 1024), String::new());
    while stream.read_buf(&mut buffer).await? > 0 {
        let now = TokioNet.now().as_nanos();
        let handled = each_line(&buffer, |line| {
            // The load has no wrong lines.
            answer(line, now, &mut map.borrow_mut(), &mut skew, &mut out);
        });
        buffer.drain(..handled);
        buffer.reserve(16 * 1024);
        if out.is_empty() {
            continue;
        }
        log.pending.borrow_mut().extend_from_slice(&out);
        log.appended.set(log.appended.get() + out.len());
        let upto = log.appended.get();
        log.work.notify_one();
        while log.synced.get() < upto {
            log.done.notified().await;
        }
        stream.write_all(&out).await?;
        out.clear();
    }
    Ok(())
}
