//! Stories about servers that share a secret, and about peers that don't know it.

use proxy_herd::net::Net as _;
use proxy_herd::net::secure::Credentials;
use proxy_herd::net::tokio::TokioNet;
use ring::hmac;

use super::guarded::{Guarded, SECRET, secret};
use super::herd::{Plan, Running, hello};
use super::log::{closed, link_down, link_up};
use super::wire::Wire;
use super::world::World as _;

const NONCE: &str = "AUTH 1 00000000000000000000000000000000000000000000000000000000000000ff";

/// A connection to the port for servers, without any handshake.
async fn bare(herd: &Running<Guarded>, server: &str) -> Wire<tokio::net::TcpStream> {
    Wire::connect(&TokioNet, herd.peers(server)).await
}

/// The proof of an honest dialler, implemented a second time.
fn proof(dialler: &str, acceptor: &str) -> String {
    let bytes = |line: &str| -> Vec<u8> {
        let hex = line.rsplit(' ').next().expect("a nonce").as_bytes();
        let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit");
        let pairs = hex.chunks(2);
        let pairs = pairs.map(|pair| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])));
        pairs.map(|byte| byte.expect("a byte")).collect()
    };
    let message = [
        b"proxy-herd secret 1 dialler".as_slice(),
        &bytes(dialler),
        &bytes(acceptor),
        b"conf",
    ];
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let mac = hmac::sign(&key, &message.concat());
    let hex: Vec<_> = (mac.as_ref().iter())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("PROOF {}", hex.concat())
}

pub(crate) async fn who_does_not_know_the_secret_is_refused_at_both_ends(world: Guarded) {
    let plan = Plan::new(&world, &["B-A", "A-C", "B-C"]);
    // A has another secret, and C has the same secret for another herd.
    (world.keyring("A")).replace(secret(b"what nobody else knows", "conf"));
    world.keyring("C").replace(secret(SECRET, "other"));
    let herd = plan.up().await;
    let refused = "refused: that is no proof of this herd's secret";
    for (dialler, acceptor) in [("B", "A"), ("A", "C"), ("B", "C")] {
        let (dialler, acceptor) = (herd.log(dialler), herd.log(acceptor));
        dialler.wait("being refused", closed(refused)).await;
        acceptor.wait("refusing", closed(refused)).await;
    }
    for server in ["A", "B", "C"] {
        let links = ["A", "B", "C"].map(|name| herd.log(server).count(link_up(name)));
        assert_eq!(links, [0; 3]);
    }
}

pub(crate) async fn who_proves_nothing_is_told_what_to_do(world: Guarded) {
    let plan = Plan::new(&world, &["B-A"]);
    world.keyring("B").replace(Credentials::default());
    let herd = plan.up().await;
    let reason = "refused: servers of this herd prove a secret: AUTH must come first";
    herd.log("A").wait("refusing", closed(reason)).await;
    herd.log("B").wait("being refused", closed(reason)).await;
}

pub(crate) async fn who_asks_for_no_proof_is_given_no_link(world: Guarded) {
    let plan = Plan::new(&world, &["B-A"]);
    world.keyring("A").replace(Credentials::default());
    let herd = plan.up().await;
    let reason = "refused: HELLO must come first";
    herd.log("A").wait("refusing", closed(reason)).await;
    herd.log("B").wait("being refused", closed(reason)).await;
    assert_eq!(herd.log("B").count(link_up("A")), 0);
}

pub(crate) async fn a_proof_that_was_seen_proves_nothing_again(world: Guarded) {
    let herd = Plan::new(&world, &["B-A"]).without("B").up().await;
    let mut honest = bare(&herd, "A").await;
    honest.say(format!("{NONCE}\n")).await;
    let theirs = String::from_utf8(honest.line().await).expect("text");
    let seen = proof(NONCE, &theirs);
    honest.say(format!("{seen}\n")).await;
    honest.expect_start("PROOF ").await;
    honest.say(hello("B")).await;
    honest.expect_start("HELLO 1 conf A ").await;
    herd.log("A").wait("the link", link_up("B")).await;
    let mut replaying = bare(&herd, "A").await;
    replaying.say(format!("{NONCE}\n{seen}\n")).await;
    replaying.expect_start("AUTH 1 ").await;
    let refused = "BYE that is no proof of this herd's secret";
    replaying.expect(refused).await;
    replaying.expect_end().await;
    assert_eq!(herd.log("A").count(link_up("B")), 1);
}

pub(crate) async fn a_proof_given_back_proves_nothing(world: Guarded) {
    // The end that is dialled echoes each line.
    let listener = TokioNet.listen(&world.first_bind(&at(1))).await;
    let listener = listener.expect("a free port");
    let mut plan = Plan::new(&world, &["A-B"]);
    let bound = proxy_herd::net::Listener::local_addr(&listener).expect("it is bound");
    plan.play("B", world.reach("B", bound));
    let herd = plan.up().await;
    let accepted = proxy_herd::net::Listener::accept(&listener).await;
    let mut mirror = Wire::new(accepted.expect("a connection"));
    for verb in ["AUTH 1 ", "PROOF "] {
        let rest = mirror.expect_start(verb).await;
        mirror.say(format!("{verb}{rest}\n")).await;
    }
    let reason = "refused: it does not know the secret of this herd";
    herd.log("A").wait("refusing", closed(reason)).await;
    mirror.expect_gone().await;
}

fn at(port: u16) -> proxy_herd::herd::Address {
    let host = "127.0.0.1".to_owned();
    proxy_herd::herd::Address { host, port }
}

pub(crate) async fn nothing_said_before_the_proof_is_heard(world: Guarded) {
    let herd = Plan::new(&world, &["B-A"]).without("B").up().await;
    let spoofed = "AT B +1.000000000 kiwi +1-1 5 1\n";
    for before in ["", &hello("B"), &format!("{NONCE}\n")] {
        let mut stranger = bare(&herd, "A").await;
        stranger.say(format!("{before}{spoofed}{spoofed}")).await;
        stranger.expect_gone().await;
    }
    let log = herd.log("A");
    log.wait_times(3, "closing", closed("refused")).await;
    let mut client = herd.client("A").await;
    client.say("WHATSAT kiwi 10 5\n").await;
    client.expect("? WHATSAT kiwi 10 5").await;
}

pub(crate) async fn a_new_secret_ends_links_until_both_have_it(world: Guarded) {
    let herd = Plan::new(&world, &["B-A"]).up().await;
    let (a, b) = (herd.log("A"), herd.log("B"));
    a.wait("the link", link_up("B")).await;
    // Replacing the secret by the same one changes nothing.
    world.keyring("A").replace(secret(SECRET, "conf"));
    let new = b"what they know from now on";
    world.keyring("A").replace(secret(new, "conf"));
    let changed = "refused: the secret has changed";
    a.wait("the end of the link", link_down(changed)).await;
    b.wait("being refused", closed("refused: that is no proof"))
        .await;
    world.keyring("B").replace(secret(new, "conf"));
    a.wait_times(2, "the link", link_up("B")).await;
    assert_eq!(a.count(link_down("")), 1);
}
