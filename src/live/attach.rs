//! Servers that run already: `Riley=127.0.0.1:12205,Jaquez=127.0.0.1:12206`.

use std::collections::BTreeMap;

use crate::diag::did_you_mean;
use crate::herd::{Address, Herd, Name};

/// Parses servers' names and addresses for clients. The names are those of a herd, and not all of
/// its servers need be there.
///
/// # Errors
///
/// A mistake in words: which part is wrong, and what to write instead.
pub fn parse(text: &str, herd: &Herd) -> Result<BTreeMap<Name, Address>, String> {
    let mut servers = BTreeMap::new();
    for part in text.split(',').map(str::trim) {
        let pair = part
            .split_once('=')
            .map(|(name, address)| (name.trim(), address.trim()));
        let address = pair.and_then(|(_, address)| Address::parse(address));
        let (Some((name, _)), Some(address)) = (pair, address) else {
            return Err(format!(
                "`{part}` is no server: write `NAME=HOST:PORT`, such as `Riley=127.0.0.1:12200`, with commas between servers"
            ));
        };
        let Some(id) = herd.id(name) else {
            let close = did_you_mean(name, "servers", herd.server_names());
            return Err(format!(
                "herd {} has no server `{name}`; {close}",
                herd.name()
            ));
        };
        if address.port == 0 {
            return Err(format!("`{part}` has the port 0, where nothing can listen"));
        }
        if servers
            .insert(herd.server(id).name.clone(), address)
            .is_some()
        {
            return Err(format!("`{name}` is given twice"));
        }
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_names_and_addresses() {
        let herd = Herd::from_links("pair", &["Ann-Bob"]).unwrap();
        let parse = |text| parse(text, &herd);
        let both = parse("Ann=127.0.0.1:1, Bob=[::1]:2").unwrap();
        assert_eq!(both["Ann"].port, 1);
        assert_eq!(both["Bob"].to_string(), "[::1]:2");
        assert_eq!(parse("Bob=b.example:2").unwrap().len(), 1);
        for (text, says) in [
            ("Ann", "`Ann` is no server"),
            ("Ann=12", "`Ann=12` is no server"),
            ("", "`` is no server"),
            ("Amn=a:1", "did you mean `Ann`?"),
            ("Ann=a:0", "port 0"),
            ("Ann=a:1,Ann=a:2", "twice"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
