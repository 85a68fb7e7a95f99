//! Shapes with random links, which follow from a seed.

use std::collections::BTreeSet;

use rand::Rng as _;
use rand::rngs::ChaCha8Rng;

use super::{ShapeError, Share};
use crate::seed::stream;

/// The maximum number of draws. A draw that is not connected is thrown away.
const MOST_DRAWS: u64 = 100;

/// How often each link is exchanged for another, so that no trace of the initial ring is left.
const EXCHANGES_A_LINK: usize = 10;

/// The links of a draw: no server is linked with itself, and no two servers are linked twice.
struct Graph {
    links: Vec<(usize, usize)>,
    /// Both ends of each link, the smaller first.
    known: BTreeSet<(usize, usize)>,
}

fn ends(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl Graph {
    fn new(links: Vec<(usize, usize)>) -> Self {
        let known = links.iter().map(|&(a, b)| ends(a, b)).collect();
        Self { links, known }
    }

    fn may_link(&self, a: usize, b: usize) -> bool {
        a != b && !self.known.contains(&ends(a, b))
    }

    fn replace(&mut self, at: usize, (a, b): (usize, usize)) {
        let (x, y) = self.links[at];
        self.known.remove(&ends(x, y));
        self.known.insert(ends(a, b));
        self.links[at] = (a, b);
    }

    /// Exchanges the ends of two links, if the new links are allowed. Every server keeps its number
    /// of links.
    fn exchange(&mut self, one: usize, two: usize, crosswise: bool) {
        let ((a, b), (c, d)) = (self.links[one], self.links[two]);
        let (c, d) = if crosswise { (d, c) } else { (c, d) };
        let new = [(a, d), (c, b)];
        let is_new = ends(a, d) != ends(c, b);
        if is_new && new.iter().all(|&(x, y)| self.may_link(x, y)) {
            self.replace(one, new[0]);
            self.replace(two, new[1]);
        }
    }

    fn is_connected(&self, servers: usize) -> bool {
        let mut near = vec![Vec::new(); servers];
        for &(a, b) in &self.links {
            near[a].push(b);
            near[b].push(a);
        }
        let mut reached = vec![false; servers];
        let mut todo = vec![0];
        reached[0] = true;
        while let Some(at) = todo.pop() {
            for &next in &near[at] {
                if !std::mem::replace(&mut reached[next], true) {
                    todo.push(next);
                }
            }
        }
        reached.into_iter().all(|reached| reached)
    }
}

/// A number below `most`, uniform up to a bias that is too small to notice.
fn below(rng: &mut ChaCha8Rng, most: usize) -> usize {
    let most = u128::try_from(most).unwrap_or(u128::MAX);
    // The upper half of a product is below the factor, so this fits.
    usize::try_from((u128::from(rng.next_u64()) * most) >> 64).unwrap_or_default()
}

/// The links of each server with those up to `near / 2` away in a ring, and, if `near` is odd, with
/// the opposite one.
fn ring_of(near: usize, servers: usize) -> Vec<(usize, usize)> {
    let side =
        (1..=near / 2).flat_map(|far| (0..servers).map(move |at| (at, (at + far) % servers)));
    let opposite = (0..servers / 2).map(|at| (at, at + servers / 2));
    side.chain(opposite.filter(|_| !near.is_multiple_of(2)))
        .collect()
}

pub(super) fn check_random(degree: usize, servers: usize) -> Result<(), ShapeError> {
    if degree >= servers {
        return ShapeError::impossible(format!(
            "{servers} servers can't have {degree} links each, but at most {}",
            servers - 1
        ));
    }
    if !degree.is_multiple_of(2) && !servers.is_multiple_of(2) {
        return ShapeError::impossible(format!(
            "{servers} servers with {degree} links each would have half a link: one of both numbers must be even"
        ));
    }
    if degree == 0 && servers > 1 || degree == 1 && servers > 2 {
        return ShapeError::impossible(format!(
            "{servers} servers with so few links each can't be connected: {degree}"
        ));
    }
    Ok(())
}

/// A random connected graph in which each server has `degree` links.
pub(super) fn random(
    degree: usize,
    servers: usize,
    seed: u64,
) -> Result<Vec<(usize, usize)>, ShapeError> {
    for draw in 0..MOST_DRAWS {
        let mut rng = stream(seed, "random shape", draw);
        let mut graph = Graph::new(ring_of(degree, servers));
        let links = graph.links.len();
        if links > 1 {
            for _ in 0..links * EXCHANGES_A_LINK {
                let (one, two) = (below(&mut rng, links), below(&mut rng, links));
                let crosswise = below(&mut rng, 2) == 1;
                graph.exchange(one, two, crosswise);
            }
        }
        if graph.is_connected(servers) {
            return Ok(graph.links);
        }
    }
    never_connected()
}

pub(super) fn check_small_world(near: usize, servers: usize) -> Result<(), ShapeError> {
    if near == 0 || !near.is_multiple_of(2) {
        return ShapeError::impossible(format!(
            "each server is linked with half of K on either side, so K is even and not {near}"
        ));
    }
    if near >= servers {
        return ShapeError::impossible(format!(
            "{servers} servers can't have {near} near ones each, but at most {}",
            servers - 1
        ));
    }
    Ok(())
}

/// A ring in which each server is linked with `near` others, after a share of the links was rewired
/// at random.
pub(super) fn small_world(
    near: usize,
    rewired: Share,
    servers: usize,
    seed: u64,
) -> Result<Vec<(usize, usize)>, ShapeError> {
    for draw in 0..MOST_DRAWS {
        let mut rng = stream(seed, "small world", draw);
        let mut graph = Graph::new(ring_of(near, servers));
        for at in 0..graph.links.len() {
            let is_rewired = below(&mut rng, 1_000_000) < rewired.0 as usize;
            let to = below(&mut rng, servers);
            let from = graph.links[at].0;
            if is_rewired && graph.may_link(from, to) {
                graph.replace(at, (from, to));
            }
        }
        if graph.is_connected(servers) {
            return Ok(graph.links);
        }
    }
    never_connected()
}

fn never_connected<T>() -> Result<T, ShapeError> {
    ShapeError::impossible(format!(
        "none of {MOST_DRAWS} draws was connected: give each server more links, or another seed"
    ))
}
