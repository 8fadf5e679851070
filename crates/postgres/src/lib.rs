//! A private PostgreSQL cluster: find the programs, initialise a data folder, start, supervise and stop it.
//!
//! Nothing has to be set up. [`start`] uses the PostgreSQL that is installed on the machine, keeps the
//! data in one folder of mode 0700 and listens on a Unix socket inside it only: there is no port and no
//! password, so `trust` is safe. The crate uses no async runtime and no driver; a [`Server`] hands out
//! addresses that any client understands.
//!
//! Two roles and one database exist from the first start on: the bootstrap superuser `postgres`, and the
//! login `tollbook`, which owns the database `tollbook` and may create roles but bypasses nothing, so that
//! row-level security binds it.
//!
//! A release of PostgreSQL is never fetched: where none is installed, the error names the command that
//! installs it on this system.

mod account;
mod error;
mod folder;
mod initialise;
mod install;
mod options;
mod postmaster;
mod process;
mod running;
mod server;
mod settings;
mod supervisor;

pub use error::Error;
pub use folder::default_state_dir;
pub use install::{Installation, VERSION_MIN};
pub use options::{Durability, Options};
pub use running::{Running, attach};
pub use server::{Server, start};

/// The login that owns the application's database. It may create roles and is not a superuser.
pub const APPLICATION_LOGIN: &str = "tollbook";
/// The application's database.
pub const APPLICATION_DATABASE: &str = "tollbook";
/// The bootstrap superuser of the cluster.
pub const SUPERUSER: &str = "postgres";

/// The address of a database behind a socket folder. Socket folders are plain ASCII (see `folder`), so
/// nothing needs escaping there; database names are the caller's.
fn url(login: &str, database: &str, socket_dir: &std::path::Path) -> String {
    format!(
        "postgres://{login}@localhost/{database}?host={}",
        socket_dir.display()
    )
}
