//! An orderly life: made, used, stopped, started again.

use tollbook_postgres::{Options, attach, start};

use crate::support::{folder, is_alive, postmaster, query, quick, try_query};

#[test]
fn a_cold_start_makes_a_cluster_and_a_warm_one_keeps_its_rows() {
    let (_folder, root) = folder();
    let server = start(&Options::new(&root)).unwrap();
    let url = server.url("tollbook");
    query(
        &url,
        "create table tally (n int); insert into tally values (1), (2)",
    );
    assert_eq!(query(&url, "show fsync"), "on");
    assert_eq!(query(&url, "show full_page_writes"), "on");
    assert_eq!(query(&url, "show data_checksums"), "on");
    assert_eq!(query(&url, "show listen_addresses"), "");
    let pid = postmaster(&root).unwrap();
    server.stop().unwrap();
    assert!(!is_alive(pid));
    assert_eq!(attach(&root).unwrap(), None);

    let server = start(&Options::new(&root)).unwrap();
    assert_eq!(
        query(&server.url("tollbook"), "select sum(n) from tally"),
        "3"
    );
    server.stop().unwrap();
}

#[test]
fn the_application_login_owns_its_database_and_is_bound_by_row_level_security() {
    let (_folder, root) = folder();
    let server = start(&quick(&root)).unwrap();
    let rights = "select rolsuper, rolbypassrls, rolcreaterole, rolcanlogin from pg_roles where rolname = current_user";
    assert_eq!(query(&server.url("tollbook"), rights), "f|f|t|t");
    let owner =
        "select pg_get_userbyid(datdba) from pg_database where datname = current_database()";
    assert_eq!(query(&server.url("tollbook"), owner), "tollbook");
    assert_eq!(
        query(
            &server.superuser_url("postgres"),
            "select rolsuper from pg_roles where rolname = current_user"
        ),
        "t"
    );
    server.stop().unwrap();
}

#[test]
fn a_dropped_server_is_stopped() {
    let (_folder, root) = folder();
    let server = start(&quick(&root)).unwrap();
    let pid = postmaster(&root).unwrap();
    drop(server);
    assert!(!is_alive(pid));
}

#[test]
fn a_command_attaches_to_the_cluster_that_another_runs() {
    let (_folder, root) = folder();
    assert_eq!(attach(&root).unwrap(), None, "nothing is there yet");
    let server = start(&quick(&root)).unwrap();
    let running = attach(&root).unwrap().unwrap();
    assert_eq!(running.url("tollbook"), server.url("tollbook"));
    assert_eq!(
        running.superuser_url("postgres"),
        server.superuser_url("postgres")
    );
    assert_eq!(running.major(), server.installation().major());
    assert_eq!(query(&running.url("tollbook"), "select 1"), "1");
    server.stop().unwrap();
}

#[test]
fn settings_of_the_caller_win_but_the_cluster_stays_private() {
    let (_folder, root) = folder();
    let mut options = quick(&root);
    let settings = [
        ("work_mem", "7MB"),
        ("jit", "on"),
        ("unix_socket_permissions", "0777"),
    ];
    options.settings = settings
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let server = start(&options).unwrap();
    let url = server.url("tollbook");
    let shown = ["work_mem", "jit", "unix_socket_permissions"]
        .map(|name| query(&url, &format!("show {name}")));
    assert_eq!(shown, ["7MB", "on", "0700"]);
    server.stop().unwrap();
}

#[test]
fn a_scratch_cluster_leaves_nothing_behind() {
    let options = Options::scratch().unwrap();
    let server = start(&options).unwrap();
    let url = server.url("tollbook");
    assert_eq!(query(&url, "show fsync"), "off");
    server.stop().unwrap();
    assert!(!options.root.exists());
    assert_eq!(try_query(&url, "select 1"), None);
}
