//! Folders that are taken, foreign, too deep or of another version, and machines without PostgreSQL.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use tollbook_postgres::{Error, attach, start};

use crate::support::{folder, query, quick};

#[test]
fn a_second_instance_is_refused_and_the_first_is_not_disturbed() {
    let (_folder, root) = folder();
    let server = start(&quick(&root)).unwrap();
    let error = start(&quick(&root)).unwrap_err();
    assert!(matches!(error, Error::InUse(_)));
    let expected = format!(
        "another instance is already using `{}`: stop it first, or choose another data folder",
        root.display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(query(&server.url("tollbook"), "select 1"), "1");
    server.stop().unwrap();
}

#[test]
fn only_the_owner_may_enter() {
    let (_folder, root) = folder();
    let server = start(&quick(&root)).unwrap();
    let owner = fs::metadata(root.join("data")).unwrap().uid();
    assert_ne!(owner, 0, "PostgreSQL does not run as root");
    for dir in [root.as_path(), server.socket_dir()] {
        let metadata = fs::metadata(dir).unwrap();
        assert_eq!(
            (metadata.permissions().mode() & 0o777, metadata.uid()),
            (0o700, owner),
            "{}",
            dir.display()
        );
    }
    server.stop().unwrap();
}

#[test]
fn a_path_too_long_for_a_socket_gets_a_short_socket_folder() {
    let (folder, _) = folder();
    let root = folder.path().join("a".repeat(120)).join("with space");
    let server = start(&quick(&root)).unwrap();
    assert!(!server.socket_dir().starts_with(folder.path()));
    assert_eq!(
        fs::metadata(server.socket_dir())
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    assert_eq!(query(&server.url("tollbook"), "select 1"), "1");
    assert_eq!(
        attach(&root).unwrap().unwrap().socket_dir(),
        server.socket_dir()
    );
    let socket_dir = server.socket_dir().to_path_buf();
    server.stop().unwrap();
    assert!(
        !socket_dir.exists(),
        "it is not below the folder, so nobody else would remove it"
    );
}

#[test]
fn a_folder_that_holds_something_else_is_left_alone() {
    let (folder, root) = folder();
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(root.join("letter.txt"), "dear").unwrap();
    let error = start(&quick(&root)).unwrap_err();
    assert!(matches!(error, Error::Foreign(_)), "{error}");
    assert_eq!(
        fs::metadata(&root).unwrap().permissions().mode() & 0o777,
        0o755
    );
    drop(folder);
}

#[test]
fn data_of_another_version_names_the_version_to_install() {
    let (_folder, root) = folder();
    start(&quick(&root)).unwrap().stop().unwrap();
    fs::write(root.join("data/PG_VERSION"), "9\n").unwrap();
    let error = start(&quick(&root)).unwrap_err();
    assert!(
        matches!(error, Error::WrongMajor { needed: 9, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("install PostgreSQL 9"),
        "{error}"
    );
}

#[test]
fn a_machine_without_postgresql_is_told_how_to_install_it() {
    let (folder, root) = folder();
    let mut options = quick(&root);
    options.bin_dir = Some(folder.path().to_path_buf());
    let error = start(&options).unwrap_err();
    assert!(
        matches!(error, Error::NotInstalled { minimum: 15, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("install it with "), "{error}");
}

#[test]
fn a_setting_that_postgresql_refuses_is_named() {
    let (_folder, root) = folder();
    let mut options = quick(&root);
    options.settings = vec![("no_such_setting".to_owned(), "1".to_owned())];
    let error = start(&options).unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}
