//! Rows read by key, a chunk at a time.

use uuid::Uuid;

use super::ops::{Difference, FOUND_MAX};
use crate::error::Result;

/// What a chunk has that is wrong, and the key after which the next one begins; `None` at the end.
pub(super) type Chunk<K = Uuid> = (Option<K>, Vec<Difference>);

/// Reads chunks of `size` rows until there are no more; calls `tell` after each. `read` looks at the rows after a key, or
/// at the first ones, in a snapshot of its own.
pub(super) async fn run<K: Copy>(
    size: i64,
    tell: &mut impl FnMut(u64),
    read: impl AsyncFn(Option<K>) -> Result<Chunk<K>>,
) -> Result<Vec<Difference>> {
    let mut differences = Vec::new();
    let mut after = None;
    loop {
        let (next, found) = read(after).await?;
        if !found.is_empty() {
            // Once more, in another snapshot: only what is wrong in both is wrong.
            let (_, again) = read(after).await?;
            differences.extend(Difference::in_both(found, &again));
        }
        tell(size.unsigned_abs());
        match next {
            Some(_) if differences.len() < FOUND_MAX => after = next,
            _ => return Ok(differences),
        }
    }
}

/// The key of the last row of a whole chunk; one that is not whole is the last.
pub(super) fn last<T, K>(rows: &[T], size: i64, key: impl Fn(&T) -> K) -> Option<K> {
    let is_whole = i64::try_from(rows.len()).is_ok_and(|len| len >= size);
    rows.last().filter(|_| is_whole).map(key)
}
