//! PostgreSQL's settings: for a billing load, by the size of the machine.

use std::{fs, path::Path, process::Command};

use crate::Durability;

const MIB: u64 = 1 << 20;

/// What the settings depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    /// Memory that this process may use, in bytes.
    pub(crate) memory_bytes: u64,
    /// The size of the file system that holds the data, in bytes.
    pub(crate) disk_bytes: u64,
    /// Whether PostgreSQL was built with LZ4.
    pub(crate) has_lz4: bool,
}

/// The settings for a machine, as names and values.
pub(crate) fn settings(machine: Machine, durability: Durability) -> Vec<(String, String)> {
    let shared_buffers_mib = (machine.memory_bytes / MIB / 8).clamp(32, 1024);
    // Few checkpoints under load, yet the log may not fill a small disk.
    let max_wal_size_mib = (machine.disk_bytes / MIB / 10).clamp(256, 8192);
    let mut settings = vec![
        ("shared_buffers", format!("{shared_buffers_mib}MB")),
        ("max_connections", "64".to_owned()),
        ("max_wal_size", format!("{max_wal_size_mib}MB")),
        ("checkpoint_timeout", "15min".to_owned()),
        // A new installation grows fast: plans made for empty tables must not last.
        ("autovacuum_naptime", "5s".to_owned()),
        (
            "wal_compression",
            if machine.has_lz4 { "lz4" } else { "on" }.to_owned(),
        ),
        // Compiling a plan costs more than running the short statements of this load.
        ("jit", "off".to_owned()),
        ("timezone", "UTC".to_owned()),
        ("log_timezone", "UTC".to_owned()),
        // Statements and details hold customers' data; the application has them in its own errors.
        ("log_min_error_statement", "panic".to_owned()),
        ("log_error_verbosity", "terse".to_owned()),
    ];
    if cfg!(target_os = "linux") {
        // One durable write for a commit instead of a write and a flush. What waits at the same time shares it as before.
        settings.push(("wal_sync_method", "open_datasync".to_owned()));
    }
    if durability == Durability::OffForTests {
        settings.extend(
            ["fsync", "full_page_writes", "synchronous_commit"]
                .map(|name| (name, "off".to_owned())),
        );
    }
    settings
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The memory that this process may use: the machine's, or less where its control group says so.
/// One GiB where it cannot be told.
pub(crate) fn memory_bytes() -> u64 {
    let limits = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let limit = limits
        .iter()
        .find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    let total = total_memory_bytes().unwrap_or(1024 * MIB);
    limit.map_or(total, |limit: u64| limit.min(total))
}

fn total_memory_bytes() -> Option<u64> {
    if let Ok(text) = fs::read_to_string("/proc/meminfo") {
        return parse_meminfo(&text);
    }
    let output = Command::new("sysctl")
        .args(["-n", "hw.memsize"])
        .output()
        .ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

fn parse_meminfo(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The size of the file system that holds `path`; 80 GiB, which asks for no care, where it cannot be told.
pub(crate) fn disk_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(80 * 1024 * MIB, |stat| {
        stat.f_blocks.saturating_mul(stat.f_frsize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(machine: Machine, name: &str) -> String {
        let settings = settings(machine, Durability::Full);
        settings
            .into_iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1
    }

    #[test]
    fn sizes_follow_the_machine_within_limits() {
        let gib = 1024 * MIB;
        let machine = |memory: u64, disk: u64| Machine {
            memory_bytes: memory * gib,
            disk_bytes: disk * gib,
            has_lz4: true,
        };
        assert_eq!(value(machine(4, 500), "shared_buffers"), "512MB");
        assert_eq!(value(machine(64, 500), "shared_buffers"), "1024MB");
        assert_eq!(value(machine(0, 500), "shared_buffers"), "32MB");
        assert_eq!(value(machine(4, 500), "max_wal_size"), "8192MB");
        assert_eq!(value(machine(4, 20), "max_wal_size"), "2048MB");
    }

    #[test]
    fn the_disk_is_waited_for_unless_a_test_says_otherwise() {
        let machine = Machine {
            memory_bytes: 0,
            disk_bytes: 0,
            has_lz4: false,
        };
        let sync_off = |durability| {
            settings(machine, durability)
                .iter()
                .any(|(name, _)| name == "fsync")
        };
        assert!(!sync_off(Durability::Full));
        assert!(sync_off(Durability::OffForTests));
        assert_eq!(value(machine, "wal_compression"), "on");
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        assert_eq!(
            parse_meminfo("MemTotal:       24621024 kB\nMemFree: 1 kB\n"),
            Some(24_621_024 * 1024)
        );
        assert_eq!(parse_meminfo("nothing"), None);
    }
}
