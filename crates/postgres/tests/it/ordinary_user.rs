//! Root is special in every step, so what root has tested an ordinary user tests again.

use std::{
    env, fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    process::Command,
};

use tempfile::TempDir;
use tollbook_postgres::start;

use crate::support::{folder, quick};

/// The number of tests in this program that do not need root.
const TESTS_FOR_EVERYBODY: &str = "21 passed; 0 failed; 0 ignored";

#[test]
fn as_root_every_test_runs_again_as_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        return; // They just did.
    }
    let nobody = uzers::get_user_by_name("nobody").unwrap();
    // Neither the build folder nor root's temporary folder need be open to others.
    let folder = TempDir::new_in("/tmp").unwrap();
    let program = folder.path().join("it");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    chown(
        &temporary,
        Some(nobody.uid()),
        Some(nobody.primary_group_id()),
    )
    .unwrap();

    let mut command = Command::new(&program);
    command
        .args(["--test-threads=2", "--skip", "ordinary_user::as_root"])
        .env("TMPDIR", &temporary);
    command
        .current_dir("/")
        .uid(nobody.uid())
        .gid(nobody.primary_group_id());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains(TESTS_FOR_EVERYBODY), "{said}");
}

#[test]
fn as_root_a_private_folder_above_is_named_as_the_obstacle() {
    if !rustix::process::geteuid().is_root() {
        return; // Nobody else runs PostgreSQL as another account.
    }
    let (folder, root) = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = start(&quick(&root)).unwrap_err();
    assert!(error.to_string().contains("may not enter"), "{error}");
}
