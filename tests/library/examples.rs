//! Each program in `examples/` runs to its end, with all its assertions.

#[path = "../../examples/changed_flood.rs"]
mod changed_flood;
#[path = "../../examples/real_sockets.rs"]
mod real_sockets;

#[test]
fn a_changed_flood_runs_in_the_simulator_without_a_fork() {
    changed_flood::main().expect("it runs");
}

#[test]
fn a_server_runs_alone_on_real_sockets() {
    real_sockets::main().expect("it runs");
}
