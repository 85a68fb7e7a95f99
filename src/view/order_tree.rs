//! Orders as a tree of choices, in which equal subtrees are stored once.

use std::collections::BTreeMap;

use crate::explore::{KeptOrder, Orders};

/// The maximum number of choices in an order; for longer orders no tree is built, since that
/// recurses.
const MOST_CHOICES: usize = 300;

/// The subtree after a beginning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    /// The end of an order: its outcome, and whether the order failed.
    End { came: usize, broken: bool },
    /// A point: the possible choices, each with the node after it.
    Point(Vec<(usize, usize)>),
}

/// A tree of orders. Beginnings with equal subtrees share a node. Nodes after a node have smaller
/// indices than it.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) root: usize,
    /// By node: the number of paths from it to an end.
    pub(super) ways: Vec<usize>,
    /// By node: the number of beginnings that lead to it.
    pub(super) beginnings: Vec<usize>,
}

impl Tree {
    /// The tree of all orders; `None` if there are none, if not all were kept, or if one is too
    /// long.
    pub(super) fn of(orders: &Orders) -> Option<Self> {
        let mut all: Vec<&KeptOrder> = orders.all.iter().collect();
        let fits = all.iter().all(|order| order.choices.len() <= MOST_CHOICES);
        if all.is_empty() || !fits || !orders.are_all_kept() {
            return None;
        }
        all.sort_by(|one, other| one.choices.cmp(&other.choices));
        let mut known = BTreeMap::new();
        let mut tree = Self {
            nodes: Vec::new(),
            root: 0,
            ways: Vec::new(),
            beginnings: Vec::new(),
        };
        tree.root = tree.grow(&mut known, &all, 0);
        tree.beginnings = vec![0; tree.nodes.len()];
        tree.beginnings[tree.root] = 1;
        for node in (0..tree.nodes.len()).rev() {
            if let Node::Point(next) = &tree.nodes[node] {
                for (_, follows) in next {
                    tree.beginnings[*follows] += tree.beginnings[node];
                }
            }
        }
        Some(tree)
    }

    /// The node of sorted orders that begin with the same `depth` choices.
    fn grow(
        &mut self,
        known: &mut BTreeMap<Node, usize>,
        orders: &[&KeptOrder],
        depth: usize,
    ) -> usize {
        let node = match orders {
            [order, ..] if order.choices.len() == depth => Node::End {
                came: order.came,
                broken: order.broken,
            },
            _ => {
                let same = |one: &&KeptOrder, other: &&KeptOrder| {
                    one.choices.get(depth) == other.choices.get(depth)
                };
                let next = orders.chunk_by(same).filter_map(|chunk| {
                    let choice = *chunk.first()?.choices.get(depth)?;
                    Some((choice, self.grow(known, chunk, depth + 1)))
                });
                Node::Point(next.collect())
            }
        };
        if let Some(&same) = known.get(&node) {
            return same;
        }
        let ways = match &node {
            Node::End { .. } => 1,
            Node::Point(next) => next.iter().map(|(_, follows)| self.ways[*follows]).sum(),
        };
        self.ways.push(ways);
        self.nodes.push(node.clone());
        known.insert(node, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// The number of choices in the tree, which is the maximum number of its lines.
    pub(super) fn size(&self) -> usize {
        let choices = self.nodes.iter().map(|node| match node {
            Node::End { .. } => 0,
            Node::Point(next) => next.len(),
        });
        choices.sum()
    }

    /// Follows a choice through points with a single option. Returns all choices on the way, and
    /// the node at which it ends.
    pub(super) fn follow(&self, choice: usize, mut node: usize) -> (Vec<usize>, usize) {
        let mut choices = vec![choice];
        while let Node::Point(next) = &self.nodes[node]
            && let [(only, follows)] = next.as_slice()
        {
            choices.push(*only);
            node = *follows;
        }
        (choices, node)
    }
}
