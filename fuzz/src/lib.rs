//! The fuzz targets, shared with `tests/library/fuzzed.rs`.

#[path = "../../tests/fuzz_targets/mod.rs"]
pub mod targets;
