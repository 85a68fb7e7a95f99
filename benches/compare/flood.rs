//! A bare flood: the minimum that brings an update from one server to all. The newest location
//! wins, a new one goes to every link except the one that it came from, and all updates of one read
//! are written at once. There is no greeting, digest, deadline or limit, not even on the queue of a
//! slow neighbour.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::or;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use proxy_herd::net::{Net as _, tokio::TokioNet};

use crate::limit::{self, Map};

/// The links of the five servers. The first server of each pair dials the second.
pub(crate) const LINKS: [(usize, usize); 6] = [(0, 1), (0, 2), (4, 1), (4, 2), (4, 3), (2, 3)];

/// The ports that server `me` dials.
pub(crate) fn dialled_by(me: usize, ports: &[u16]) -> Vec<u16> {
    let mine = LINKS.iter().filter(|(from, _)| *from == me);
    mine.map(|(_, to)| ports[*to]).collect()
}

#[derive(Default)]
struct Node {
    map: RefCell<Map>,
    links: RefCell<BTreeMap<usize, Rc<Link>>>,
    linked: Cell<usize>,
}

/// The bytes that wait for a neighbour.
#[derive(Default)]
struct Link {
    out: RefCell<Vec<u8>>,
    more: Notify,
}

/// Serves for ever, on the calling thread.
pub(crate) async fn serve(
    clients: TcpListener,
    servers: TcpListener,
    dialled: Vec<u16>,
) -> io::Result<()> {
    let node = Rc::new(Node::default());
    let mut tasks = JoinSet::new();
    for port in dialled {
        let node = Rc::clone(&node);
        tasks.spawn_local(async move {
            let stream = loop {
                match TcpStream::connect(("127.0.0.1", port)).await {
                    Ok(stream) => break stream,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            link(stream, &node).await
        });
    }
    loop {
        let client = async { Ok((true, clients.accept().await?.0)) };
        let server = async { Ok((false, servers.accept().await?.0)) };
        let accepted: io::Result<_> = or(client, server).await;
        let (is_client, stream) = accepted?;
        let node = Rc::clone(&node);
        tasks.spawn_local(async move {
            if is_client {
                converse(stream, &node).await
            } else {
                link(stream, &node).await
            }
        });
    }
}

impl Node {
    /// Queues new updates for every link except `but`.
    fn tell(&self, news: &[u8], but: Option<usize>) {
        if news.is_empty() {
            return;
        }
        for (number, link) in &*self.links.borrow() {
            if Some(*number) != but {
                link.out.borrow_mut().extend_from_slice(news);
                link.more.notify_one();
            }
        }
    }
}

async fn converse(mut stream: TcpStream, node: &Node) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer: Vec<u8> = Vec::with_capacity(64 * 1024);
    let (mut out, mut news, mut skew) = (Vec::new(), Vec::new(), String::new());
    while stream.read_buf(&mut buffer).await? > 0 {
        let now = TokioNet.now().as_nanos();
        let handled = limit::each_line(&buffer, |line| {
            let from = out.len();
            let answered =
                limit::answer(line, now, &mut node.map.borrow_mut(), &mut skew, &mut out);
            match answered {
                Some(true) => news.extend_from_slice(&out[from..]),
                Some(false) => {}
                None => out.extend_from_slice(b"?\n"),
            }
        });
        buffer.drain(..handled);
        buffer.reserve(16 * 1024);
        node.tell(&news, None);
        news.clear();
        stream.write_all(&out).await?;
        out.clear();
    }
    Ok(())
}

async fn link(stream: TcpStream, node: &Node) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.into_split();
    let number = node.linked.replace(node.linked.get() + 1);
    let link = Rc::new(Link::default());
    node.links.borrow_mut().insert(number, Rc::clone(&link));
    let ended = or(write(&mut writer, &link), read(&mut reader, node, number)).await;
    node.links.borrow_mut().remove(&number);
    ended
}

async fn write(writer: &mut OwnedWriteHalf, link: &Link) -> io::Result<()> {
    let mut out = Vec::new();
    loop {
        link.more.notified().await;
        std::mem::swap(&mut out, &mut link.out.borrow_mut());
        if writer.write_all(&out).await.is_err() {
            // The reading half sees the end, too.
            return pending().await;
        }
        out.clear();
    }
}

async fn read(reader: &mut OwnedReadHalf, node: &Node, number: usize) -> io::Result<()> {
    let mut buffer: Vec<u8> = Vec::with_capacity(64 * 1024);
    let mut news = Vec::new();
    while reader.read_buf(&mut buffer).await? > 0 {
        let handled = limit::each_line(&buffer, |line| {
            if is_news(line, &mut node.map.borrow_mut()) == Some(true) {
                news.extend_from_slice(line);
                news.push(b'\n');
            }
        });
        buffer.drain(..handled);
        buffer.reserve(16 * 1024);
        node.tell(&news, Some(number));
        news.clear();
    }
    Ok(())
}

/// Whether `AT server skew id location time` is new, or `None` for any other line.
fn is_news(line: &[u8], map: &mut Map) -> Option<bool> {
    let mut fields = line.strip_prefix(b"AT ")?.splitn(5, |&byte| byte == b' ');
    let (_server, _skew) = (fields.next()?, fields.next()?);
    let (id, location, time) = (fields.next()?, fields.next()?, fields.next()?);
    Some(limit::take(map, id, location, limit::nanos(time)?))
}
