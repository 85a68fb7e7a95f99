//! Runs by hand: segments between servers wait until they are released.

use super::connection::{ConnectionId, End};
use super::tcp::{Held, Systems};
use crate::scenario;
use crate::sim::machines::Machine;
use crate::sim::worlds::Wire;

impl Systems {
    /// From now on, segments between machines below this number wait.
    pub(super) fn hold(&mut self, servers: Machine, what: scenario::Held) {
        self.held = Held(Some((servers, what)));
    }

    /// See [`World::waiting`](crate::sim::worlds::World::waiting).
    pub(super) fn waiting(&mut self, runs: &dyn Fn(Machine) -> bool) -> (bool, Vec<Wire>) {
        let mut moves = false;
        let mut by_rank: Vec<(u64, Wire)> = Vec::new();
        let all: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in all {
            for end in 0..2 {
                moves |= self.acknowledge_by_hand(id, end);
                while let Some(connection) = self.connections.get_mut(&id) {
                    let wire = Self::wire(connection, end);
                    let Some(first) = connection.flights[end].front_mut() else {
                        break;
                    };
                    if !self.held.has(wire) {
                        break;
                    }
                    if self.held.waits(&first.segment) && runs(wire.1) {
                        let rank = connection.ranks[end].get_or_insert_with(|| {
                            self.came_up += 1;
                            self.came_up
                        });
                        by_rank.push((*rank, wire));
                        break;
                    }
                    moves = true;
                    first.due = self.now;
                    self.first_arrives(id, end);
                }
            }
        }
        by_rank.sort_unstable();
        let mut wires: Vec<Wire> = Vec::new();
        for (_, wire) in by_rank {
            if !wires.contains(&wire) {
                wires.push(wire);
            }
        }
        (moves, wires)
    }

    /// Lets acknowledgements arrive that wait; whether there were any.
    fn acknowledge_by_hand(&mut self, id: ConnectionId, end: End) -> bool {
        let mut moves = false;
        while let Some(connection) = self.connections.get_mut(&id) {
            let wire = Self::wire(connection, end);
            let Some(first) = connection.acknowledgements[end].front_mut() else {
                break;
            };
            if !self.held.has(wire) {
                break;
            }
            moves = true;
            first.due = self.now;
            self.acknowledgement_arrives(id, end);
        }
        moves
    }

    /// See [`World::release`](crate::sim::worlds::World::release).
    pub(super) fn release(&mut self, wire: Wire) {
        let ranked = self.connections.iter().flat_map(|(id, connection)| {
            let ends = (0..2).filter(|&end| Self::wire(connection, end) == wire);
            ends.filter_map(|end| Some((connection.ranks[end]?, *id, end)))
        });
        let Some((_, id, end)) = ranked.min() else {
            return;
        };
        if let Some(connection) = self.connections.get_mut(&id)
            && let Some(first) = connection.flights[end].front_mut()
        {
            first.due = self.now;
        }
        self.first_arrives(id, end);
    }
}
