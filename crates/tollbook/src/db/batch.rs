//! Group commit: what arrives while one transaction commits shares the next one.
//!
//! Each item is answered after the transaction that holds it is durable. The work runs in a task of its own, so a
//! client that goes away leaves nothing half done.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, Result};

/// How many items may wait. Beyond that the sender waits, and with it its client.
const WAITING_MAX: usize = 8192;

/// So many at a time are a crowd: then a batch takes what keeps coming, since each transaction costs as much as ten items.
const CROWD: usize = 4;
/// So many are enough not to wait for more than the last batch had.
const ENOUGH: usize = 64;
/// Nothing came for so long: nothing more is coming. A few clients were just answered and send again within this time; a
/// client alone is not waited for at all.
const GAP: Duration = Duration::from_millis(4);
/// What a batch is for: stores all items in one transaction and answers each, in order.
pub(crate) trait Commit<T>: Send + Sync + 'static {
    /// The answer to one item.
    type Answer: Send + 'static;

    /// Stores `items`, all or none.
    fn commit(&self, items: &[T]) -> impl Future<Output = Result<Vec<Self::Answer>>> + Send;
}

/// When a batch is large enough.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchSize {
    /// The most items of one transaction.
    pub(crate) items: usize,
    /// No batch waits longer than this for more.
    pub(crate) wait: Duration,
}

struct Waiting<T, A> {
    item: T,
    answer: oneshot::Sender<Result<A>>,
}

/// Where the flushers take items from, one at a time.
type Receiver<T, A> = Arc<tokio::sync::Mutex<mpsc::Receiver<Waiting<T, A>>>>;

/// Gathers items into batches; cheap to clone.
pub(crate) struct GroupCommit<T, A> {
    sender: mpsc::Sender<Waiting<T, A>>,
}

impl<T, A> Clone for GroupCommit<T, A> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
        }
    }
}

impl<T, A> std::fmt::Debug for GroupCommit<T, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GroupCommit({} free)", self.sender.capacity())
    }
}

impl<T: Send + Sync + 'static, A: Send + 'static> GroupCommit<T, A> {
    /// Starts `flushers` tasks that commit batches of at most `size.items`. They end when every handle is gone and all
    /// that was sent is answered.
    pub(crate) fn start(
        commit: impl Commit<T, Answer = A>,
        size: BatchSize,
        flushers: usize,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        let commit = Arc::new(commit);
        let crowd = Arc::new(AtomicUsize::new(0));
        for _ in 0..flushers {
            let (commit, receiver) = (Arc::clone(&commit), Arc::clone(&receiver));
            tokio::spawn(flush(commit, receiver, size, Arc::clone(&crowd)));
        }
        Self { sender }
    }

    /// Stores one item and waits until it is durable.
    pub(crate) async fn submit(&self, item: T) -> Result<A> {
        let (answer, answered) = oneshot::channel();
        self.sender
            .send(Waiting { item, answer })
            .await
            .map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?
    }
}

fn stopping() -> Error {
    Error::Unavailable("the server is stopping".into())
}

async fn flush<T, C>(
    commit: Arc<C>,
    receiver: Receiver<T, C::Answer>,
    size: BatchSize,
    crowd: Arc<AtomicUsize>,
) where
    T: Send + Sync + 'static,
    C: Commit<T>,
{
    loop {
        let batch = gather(&receiver, size, &crowd).await;
        if batch.is_empty() {
            return;
        }
        settle(commit.as_ref(), batch).await;
    }
}

/// The next batch; empty when nobody can send any more. The lock is held while gathering and free while committing, so
/// that batches overlap.
async fn gather<T, A>(
    receiver: &Receiver<T, A>,
    size: BatchSize,
    crowd: &AtomicUsize,
) -> Vec<Waiting<T, A>> {
    let mut batch = Vec::new();
    let mut receiver = receiver.lock().await;
    receiver.recv_many(&mut batch, size.items).await;
    let last = crowd.load(Ordering::Relaxed);
    let awaited = if last < CROWD {
        last
    } else {
        last.max(ENOUGH).min(size.items)
    };
    let until = Instant::now() + size.wait;
    while (1..awaited).contains(&batch.len()) {
        let room = size.items - batch.len();
        let gap = until.min(Instant::now() + GAP);
        let more = timeout_at(gap, receiver.recv_many(&mut batch, room)).await;
        if more.is_err() || more == Ok(0) {
            break;
        }
    }
    crowd.store(batch.len(), Ordering::Relaxed);
    batch
}

/// Commits a batch and answers each item. A batch that the database refuses is halved until the refused item stands
/// alone: one bad item must not fail its neighbours.
async fn settle<T, C>(commit: &C, batch: Vec<Waiting<T, C::Answer>>)
where
    T: Send + Sync + 'static,
    C: Commit<T>,
{
    let mut open = vec![batch];
    while let Some(batch) = open.pop() {
        let (items, waiting): (Vec<T>, Vec<_>) =
            batch.into_iter().map(|w| (w.item, w.answer)).unzip();
        match commit.commit(&items).await {
            Ok(answers) => {
                for (answer, waiting) in answers.into_iter().zip(waiting) {
                    // A client that has gone misses its answer, not its effect.
                    drop(waiting.send(Ok(answer)));
                }
            }
            Err(error) if error.is_transient() || items.len() == 1 => answer_error(error, waiting),
            Err(_) => {
                let mut first: Vec<_> = items
                    .into_iter()
                    .zip(waiting)
                    .map(|(item, answer)| Waiting { item, answer })
                    .collect();
                let second = first.split_off(first.len() / 2);
                open.push(second);
                open.push(first);
            }
        }
    }
}

fn answer_error<A>(error: Error, waiting: Vec<oneshot::Sender<Result<A>>>) {
    let several = waiting.len() > 1;
    let mut error = Some(error);
    for answer in waiting {
        let error = match error.take() {
            Some(error) if !several => error,
            first => {
                if let Some(first) = first {
                    tracing::warn!(error = %first, "a batch was not stored");
                }
                Error::Unavailable("not stored, try again".into())
            }
        };
        drop(answer.send(Err(error)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const SIZE: BatchSize = BatchSize {
        items: 64,
        wait: Duration::from_millis(20),
    };

    /// Refuses odd numbers as the database refuses a bad row: with the whole batch.
    struct Evens(Mutex<Vec<Vec<u32>>>);

    impl Commit<u32> for Arc<Evens> {
        type Answer = u32;

        async fn commit(&self, items: &[u32]) -> Result<Vec<u32>> {
            if let Some(odd) = items.iter().find(|n| *n % 2 == 1) {
                return Err(Error::invalid("n", format!("{odd} is odd")));
            }
            self.0.lock().unwrap().push(items.to_vec());
            Ok(items.iter().map(|n| n * 10).collect())
        }
    }

    #[tokio::test]
    async fn one_bad_item_fails_alone_and_each_other_is_stored_once() {
        let evens = Arc::new(Evens(Mutex::default()));
        let group = GroupCommit::start(Arc::clone(&evens), SIZE, 1);
        let answers =
            futures_util::future::join_all([2, 4, 5, 6, 8, 10].map(|n| group.submit(n))).await;
        let answers: Vec<_> = answers
            .into_iter()
            .map(|a| a.map_err(|e| e.to_string()))
            .collect();
        assert_eq!(
            answers,
            [
                Ok(20),
                Ok(40),
                Err("`n` 5 is odd".to_owned()),
                Ok(60),
                Ok(80),
                Ok(100)
            ]
        );
        let mut stored = evens.0.lock().unwrap().concat();
        stored.sort_unstable();
        assert_eq!(stored, [2, 4, 6, 8, 10]);
    }

    #[tokio::test]
    async fn a_client_that_goes_away_does_not_take_its_item_along() {
        let evens = Arc::new(Evens(Mutex::default()));
        let group = GroupCommit::start(Arc::clone(&evens), SIZE, 1);
        {
            let mut gone = Box::pin(group.submit(2));
            assert!(futures_util::poll!(gone.as_mut()).is_pending());
        }
        assert_eq!(group.submit(4).await.unwrap(), 40);
        assert_eq!(evens.0.lock().unwrap().concat(), [2, 4]);
    }

    #[tokio::test]
    async fn what_keeps_coming_to_a_crowd_shares_a_batch() {
        let evens = Arc::new(Evens(Mutex::default()));
        let group = GroupCommit::start(Arc::clone(&evens), SIZE, 1);
        let crowd = futures_util::future::join_all([2; 8].map(|n| group.submit(n))).await;
        assert!(crowd.into_iter().all(|answer| answer.unwrap() == 20));
        evens.0.lock().unwrap().clear();
        // One after the other, each a little later.
        let steady = (0..80_u32).map(|place| {
            let group = &group;
            async move {
                for _ in 0..place {
                    tokio::task::yield_now().await;
                }
                group.submit(place * 2).await.unwrap()
            }
        });
        let answers = futures_util::future::join_all(steady).await;
        assert_eq!(answers.iter().sum::<u32>(), (0..80).sum::<u32>() * 20);
        // In batches of as many as the crowd was, there would be ten.
        let batches = evens.0.lock().unwrap().len();
        assert!(batches <= 6, "{batches} batches");
    }
}
