//! Prepaid credit: what is in a wallet, what is reserved, and how long a call may last on what is left.

mod balance;
mod kept;
mod limit;
mod promise;

pub use balance::{Draw, Drawn, Lot, Reservation, Wallet, WalletError};
pub use kept::{Change, Kept, KeptLot, whole_minor};
pub use limit::{CALL_SECONDS_MAX, longest_call};
pub use promise::{Hold, InProgress, Promise, costs, in_full, promise, share};
