//! Real sockets on which servers authenticate each other.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use proxy_herd::certs::Authority;
use proxy_herd::herd::{Address, Name};
use proxy_herd::net::Net as _;
use proxy_herd::net::secure::{Clock, Credentials, Keyring, Pem, Secret, Secured, Servers, Tls};
use proxy_herd::net::tokio::TokioNet;

use super::world::{Job, Real, STORY, World, on_real_sockets};

/// How servers authenticate each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Secret,
    Tls,
}

/// The herd's secret.
pub(crate) const SECRET: &[u8] = b"what every server of conf knows";

/// The servers that a story can impersonate.
const PLAYED: [&str; 6] = ["A", "B", "C", "D", "E", "X"];

/// The machine of the tests, where each server has its own credentials.
#[derive(Clone)]
pub(crate) struct Guarded {
    real: Real,
    kind: Kind,
    authority: Rc<Authority>,
    keyrings: Rc<RefCell<BTreeMap<String, Keyring>>>,
}

pub(crate) fn authority() -> Authority {
    let day = Duration::from_hours(24);
    Authority::new("conf", TokioNet.now(), day).expect("an authority")
}

pub(crate) fn secret(bytes: &[u8], herd: &str) -> Credentials {
    let secret = Secret::new(bytes, &Name::from(herd)).expect("a secret");
    Credentials {
        servers: Servers::Secret(secret),
        clients: None,
    }
}

/// The credentials of an end whose certificate is by `issuer` for `names`, and that trusts
/// `trusted`.
pub(crate) fn tls(issuer: &Authority, names: &[&str], trusted: &[&Authority]) -> Credentials {
    let issued = issuer.servers(names).expect("a certificate");
    let trusted: Vec<String> = trusted.iter().map(|one| one.certificate()).collect();
    let tls = Tls::new(
        names[0],
        &Pem::new("the authorities", trusted.concat()),
        &Pem::new("the certificate", issued.certificate),
        &Pem::new("the key", issued.key),
        Clock::of(&TokioNet),
    );
    Credentials {
        servers: Servers::Tls(tls.expect("they fit")),
        clients: None,
    }
}

impl Guarded {
    /// A server's credentials, unless the story replaces them.
    fn credentials(&self, machine: &str) -> Credentials {
        match self.kind {
            Kind::Secret => secret(SECRET, "conf"),
            Kind::Tls if machine == STORY => tls(&self.authority, &PLAYED, &[&self.authority]),
            Kind::Tls => tls(&self.authority, &[machine], &[&self.authority]),
        }
    }

    /// The keyring of a machine.
    pub(crate) fn keyring(&self, machine: &str) -> Keyring {
        let mut keyrings = self.keyrings.borrow_mut();
        let new = || Keyring::new(self.credentials(machine));
        let keyring = keyrings.entry(machine.to_owned()).or_insert_with(new);
        keyring.clone()
    }

    /// The authority that issues all servers' certificates.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl World for Guarded {
    type Net = Secured<TokioNet>;

    fn net(&self) -> Self::Net {
        self.net_of(STORY)
    }

    fn net_of(&self, server: &str) -> Self::Net {
        Secured::new(TokioNet, self.keyring(server))
    }

    fn run_on(&self, machine: &str, job: Job) {
        self.real.run_on(machine, job);
    }

    fn first_bind(&self, address: &Address) -> Address {
        self.real.first_bind(address)
    }

    fn reach(&self, machine: &str, bound: SocketAddr) -> Address {
        self.real.reach(machine, bound)
    }
}

/// Runs a story over real sockets whose servers authenticate each other.
pub(crate) fn told_under<F: Future<Output = ()>>(kind: Kind, story: impl FnOnce(Guarded) -> F) {
    on_real_sockets(|real| {
        story(Guarded {
            real,
            kind,
            authority: Rc::new(authority()),
            keyrings: Rc::default(),
        })
    });
}
