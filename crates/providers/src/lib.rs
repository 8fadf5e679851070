//! Everything outside: providers and their sandboxes.
