//! Flags that several commands share: the herd, and its dead servers and cut links.

use super::{Failure, flags};
use crate::diag::did_you_mean;
use crate::herd::{Herd, Shape, ShapeError, split_all};
use crate::model::Without;

/// The flags that select a herd.
#[derive(clap::Args)]
pub(super) struct WhichHerd {
    /// A built-in herd, a herd file, or a shape such as `ring:8`
    #[arg(long, default_value = "riley", conflicts_with_all = ["shape", "servers"])]
    herd: String,
    /// A herd of this shape: line, ring, star, mesh, `grid:3x4`, `random:D` (D links at each
    /// server), `small-world:K,P` (links to K near servers, a share P of them rewired at random)
    #[arg(long)]
    shape: Option<Shape>,
    /// How many servers to generate for `--shape`
    #[arg(long, value_name = "N", requires = "shape")]
    servers: Option<usize>,
    /// The seed of the links that a shape draws at random
    #[arg(long, value_name = "N", default_value_t = 0, requires = "shape")]
    shape_seed: u64,
}

impl WhichHerd {
    /// The herd, and its name in a scenario. Prints warnings.
    pub(super) fn load(&self) -> Result<(Herd, String), Failure> {
        let Some(shape) = self.shape else {
            return Ok((flags::herd(&self.herd)?, self.herd.clone()));
        };
        let sized = match self.servers {
            None => Ok(shape),
            Some(servers) => shape.of(servers),
        };
        let made = sized.and_then(|shape| Ok((shape.herd(self.shape_seed)?, shape.to_string())));
        made.map_err(|error| {
            let help = match error {
                ShapeError::Unsized(_) => "; or give `--servers N`",
                _ => "",
            };
            Failure::Input(format!("no herd has the shape `{shape}`: {error}{help}"))
        })
    }
}

/// The servers and links of `herd` in the comma-separated list of `--without`.
pub(super) fn without(herd: &Herd, text: Option<&str>) -> Result<Without, Failure> {
    let mut without = Without::default();
    let names = text.into_iter().flat_map(|text| text.split(','));
    for name in names.map(str::trim) {
        if let Some(id) = herd.id(name) {
            without.dead.push(id);
        } else {
            without.cut.push(link(herd, name)?);
        }
    }
    without.dead.sort_unstable();
    without.dead.dedup();
    without.cut.sort_unstable();
    without.cut.dedup();
    Ok(without)
}

fn link(herd: &Herd, name: &str) -> Result<usize, Failure> {
    let ways = split_all(name, herd);
    if let [a, b] = ways
        .iter()
        .find(|way| way.len() == 2)
        .map_or(&[][..], Vec::as_slice)
    {
        let found = herd
            .links_of(*a)
            .find(|(_, link)| link.other(*a) == Some(*b));
        return found.map(|(index, _)| index).ok_or_else(|| {
            Failure::Input(format!(
                "there is no link `{name}` in the herd `{}`",
                herd.name()
            ))
        });
    }
    let links = herd.links().len();
    let links: Vec<String> = (0..links)
        .map(|at| crate::survey::link_name(herd, at))
        .collect();
    let known = herd.server_names().chain(links.iter().map(String::as_str));
    let help = did_you_mean(name, "servers and links", known.collect::<Vec<_>>());
    Err(Failure::Input(format!(
        "there is no server or link `{name}` in the herd `{}`: {help}",
        herd.name()
    )))
}
