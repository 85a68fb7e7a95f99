//! An independent model of a flood: a server that receives an update for the first time sends it to
//! all its neighbours except the sender.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::herd::{Herd, ServerId};

/// The state of a flood: which servers know the update, the senders from which each received it, in
/// order, and the messages in flight.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    knows: BTreeSet<ServerId>,
    told_by: BTreeMap<ServerId, Vec<ServerId>>,
    under_way: BTreeSet<(ServerId, ServerId)>,
}

/// The floods of one herd.
pub(super) struct Flood<'a> {
    herd: &'a Herd,
    /// The number of orders from each state to the end.
    known: RefCell<BTreeMap<State, usize>>,
}

impl<'a> Flood<'a> {
    pub(super) fn new(herd: &'a Herd) -> Self {
        let known = RefCell::default();
        Self { herd, known }
    }

    fn begin(&self, origin: ServerId) -> State {
        let mut state = State::default();
        self.learn(&mut state, origin, None);
        state
    }

    fn learn(&self, state: &mut State, server: ServerId, from: Option<ServerId>) {
        if state.knows.insert(server) {
            let others = self.herd.neighbours(server).filter(|&to| Some(to) != from);
            state.under_way.extend(others.map(|to| (server, to)));
        }
    }

    /// The states after one delivery.
    fn next(&self, state: &State) -> Vec<State> {
        let next = state.under_way.iter().map(|&(from, to)| {
            let mut state = state.clone();
            state.under_way.remove(&(from, to));
            state.told_by.entry(to).or_default().push(from);
            self.learn(&mut state, to, Some(from));
            state
        });
        next.collect()
    }

    pub(super) fn orders(&self, origin: ServerId) -> usize {
        self.orders_from(&self.begin(origin))
    }

    fn orders_from(&self, state: &State) -> usize {
        if let Some(known) = self.known.borrow().get(state) {
            return *known;
        }
        let orders = match self.next(state).as_slice() {
            [] => 1,
            next => next.iter().map(|next| self.orders_from(next)).sum(),
        };
        self.known.borrow_mut().insert(state.clone(), orders);
        orders
    }

    /// The number of different outcomes: which server received the update from which, in which
    /// order.
    pub(super) fn outcomes(&self, origin: ServerId) -> usize {
        let mut open = vec![self.begin(origin)];
        let mut seen = BTreeSet::new();
        let mut ends = 0;
        while let Some(state) = open.pop() {
            if seen.insert(state.clone()) {
                ends += usize::from(state.under_way.is_empty());
                open.extend(self.next(&state));
            }
        }
        ends
    }

    /// The numbers of hops after which an update can first reach a server: with arbitrary delays,
    /// the lengths of all simple paths to it.
    pub(super) fn hops(&self, origin: ServerId, to: ServerId) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        self.walk(&mut vec![origin], to, &mut found);
        found
    }

    fn walk(&self, way: &mut Vec<ServerId>, to: ServerId, found: &mut BTreeSet<u32>) {
        let at = way[way.len() - 1];
        if at == to {
            found.insert(u32::try_from(way.len()).unwrap() - 1);
            return;
        }
        for next in self.herd.neighbours(at) {
            if !way.contains(&next) {
                way.push(next);
                self.walk(way, to, found);
                way.pop();
            }
        }
    }
}
