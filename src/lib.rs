//! Proxy herd.
