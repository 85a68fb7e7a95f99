//! The ports of a server, and why they can't be bound.

use std::io;

use crate::herd::Address;
use crate::net::Net;
use crate::net::tokio::Unresolved;

/// Why a server could not bind its ports.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address} for {whom}: {error}")]
pub struct BindError {
    address: Address,
    whom: &'static str,
    /// The setting that overrides the address in the herd file.
    setting: &'static str,
    pub(super) error: io::Error,
}

impl BindError {
    /// Advice for the operator.
    pub fn help(&self) -> String {
        let setting = self.setting;
        let Address { host, port } = &self.address;
        if Unresolved::is_why(&self.error) {
            return format!(
                "correct the server's host in the herd file, set `--{setting}`, or make `{host}` resolvable on this machine (DNS, /etc/hosts)"
            );
        }
        match self.error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "another program has port {port}, perhaps this server itself: end that, or give the server another port, in the herd file or by `--{setting}`"
            ),
            io::ErrorKind::AddrNotAvailable => {
                format!(
                    "`{host}` is no address of this machine: run the server there, correct the herd file, or set `--{setting}`, such as `--{setting} 0.0.0.0:{port}`"
                )
            }
            io::ErrorKind::PermissionDenied => {
                format!("this user may not listen on port {port}: use one from 1024 on")
            }
            _ => {
                format!("correct the server's host or port in the herd file, or set `--{setting}`")
            }
        }
    }
}

/// The two bound ports of a server.
pub struct Listeners<N: Net> {
    /// The port for clients.
    pub clients: N::Listener,
    /// The port for other servers.
    pub peers: N::Listener,
}

impl<N: Net> Listeners<N> {
    /// Binds both ports.
    ///
    /// # Errors
    ///
    /// When a port can't be bound. The other port is then free again.
    pub async fn bind(net: &N, clients: &Address, peers: &Address) -> Result<Self, BindError> {
        let failed = |address: &Address, whom, setting| {
            let address = address.clone();
            move |error| BindError {
                address,
                whom,
                setting,
                error,
            }
        };
        let bound = net.listen(clients).await;
        let clients = bound.map_err(failed(clients, "clients", "listen"))?;
        let bound = net.listen_for_servers(peers).await;
        let peers = bound.map_err(failed(peers, "servers", "peer-listen"))?;
        Ok(Self { clients, peers })
    }
}
