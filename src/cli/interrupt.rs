//! Interruption of long work: Ctrl-C sets a flag, which the work checks between its pieces.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::signals::Signals;
use super::{Exit, Failure};

/// A flag that is set when the user wants the work to end.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watches for signals from now on. A second signal ends the process at once.
    #[expect(
        clippy::disallowed_methods,
        reason = "waits for signals beside the work, and touches nothing of it but a flag"
    )]
    pub(super) fn watch() -> Result<Self, Failure> {
        let internal = |error: std::io::Error| Failure::Internal(error.to_string());
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(internal)?;
        let mut signals = {
            let _inside = runtime.enter();
            Signals::new().map_err(internal)?
        };
        let wanted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&wanted);
        std::thread::spawn(move || {
            runtime.block_on(async {
                signals.next().await;
                flag.store(true, Ordering::Relaxed);
                signals.next().await;
                std::process::exit(Exit::Failed as i32);
            });
        });
        Ok(Self(wanted))
    }

    /// The flag itself, for code that does not know about signals.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
