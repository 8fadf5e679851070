//! CPU time of processes, from the kernel's own accounting.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// The kernel counts in hundredths of a second on every Linux there is.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of a process, of what it started, and of what has ended of that.
pub(crate) fn cpu_of_tree(root: u32) -> Duration {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut times: HashMap<u32, u32> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|it| it.parse().ok());
        if let Some(pid) = pid
            && let Some((parent, ticks)) = stat(pid)
        {
            children.entry(parent).or_default().push(pid);
            times.insert(pid, ticks);
        }
    }
    let mut waiting = vec![root];
    let mut ticks = 0;
    while let Some(pid) = waiting.pop() {
        ticks += times.get(&pid).copied().unwrap_or_default();
        waiting.extend(children.remove(&pid).unwrap_or_default());
    }
    TICK * ticks
}

/// The parent of a process, and the ticks of it and of its children that have ended.
fn stat(pid: u32) -> Option<(u32, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let parent = fields.get(1)?.parse().ok()?;
    let ticks = fields
        .get(11..15)?
        .iter()
        .filter_map(|it| it.parse::<u32>().ok());
    Some((parent, ticks.sum()))
}
