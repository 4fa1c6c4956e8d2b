//! In pages of what size does the system hand out memory?
//!
//! The allocator asks Linux for pages of 2 MB, each of which is cleared when its first byte is written. A query that fills gigabytes
//! gains a fifth by them; a command that touches a little here and there spends most of its time clearing (of `elt sql -c
//! "select 1"` two thirds). So a process begins with small pages, and has large ones once it has much to read.

/// Has the system hand out small pages from now on.
pub fn small_pages() {
    set(false);
}

/// Has the system hand out large pages from now on, where it has them.
pub fn large_pages() {
    set(true);
}

#[cfg(target_os = "linux")]
fn set(is_large: bool) {
    // A system that refuses goes on as it does: that is slower, and nothing else.
    if let Err(error) = nix::sys::prctl::set_thp_disable(!is_large) {
        tracing::debug!("the size of pages stays as it is: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn set(_is_large: bool) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_told() {
        small_pages();
        assert!(nix::sys::prctl::get_thp_disable().unwrap());
        large_pages();
        assert!(!nix::sys::prctl::get_thp_disable().unwrap());
    }
}
