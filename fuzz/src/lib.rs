//! The targets, as `tests/library/fuzzed.rs` has them too.

#[path = "../../tests/fuzz_targets/mod.rs"]
pub mod targets;
