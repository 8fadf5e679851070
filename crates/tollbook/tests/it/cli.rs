//! The real binary.

use std::fs::{File, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// A folder that the account of PostgreSQL may enter, also when the tests run as root.
fn folder() -> TempDir {
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .unwrap()
}

/// The program, with none of the environment's settings.
fn tollbook(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollbook"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TOLLBOOK_DATA_DIR", folder)
        .current_dir(folder);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    tollbook(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Where a server writes what it logs: a pipe that nobody reads would hold it up.
fn log(folder: &Path) -> File {
    let path = folder.join("serve.log");
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
}

fn logged(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("serve.log")).unwrap()
}

/// A server that ends with the test.
struct Serving {
    process: Child,
    base: String,
}

impl Serving {
    fn start(folder: &Path) -> Self {
        let mut process = tollbook(folder)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(log(folder))
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let Some(base) = line.trim().strip_prefix("listening on ") else {
            panic!("it does not start: {line}{}", logged(folder));
        };
        Self {
            process,
            base: base.to_owned(),
        }
    }

    /// Stops it as a supervisor does, and says how it ended.
    fn stop(mut self) -> Option<i32> {
        Command::new("kill")
            .arg(self.process.id().to_string())
            .status()
            .unwrap();
        self.process.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended by itself in all tests that pass.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn settings_come_from_flag_environment_file_and_default() {
    let folder = folder();
    std::fs::write(
        folder.path().join("tollbook.toml"),
        "listen = '127.0.0.1:1'\ndb_port = 1\nserver_url = 'https://file.example'\ncors_origins = ['https://a.example', 'https://b.example']\nmetrics_token = 'hidden-in-file'\n",
    )
    .unwrap();
    let output = tollbook(folder.path())
        .args(["config", "--json", "--listen", "127.0.0.1:3"])
        .env("TOLLBOOK_LISTEN", "127.0.0.1:2")
        .env("DB_PORT", "2")
        .env("TOLLBOOK_SECRET_KEY", "hidden-in-environment")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert!(!printed.contains("hidden-in"), "{printed}");
    let settings: Vec<serde_json::Value> = serde_json::from_str(&printed).unwrap();
    let find = |name: &str| {
        let found = settings.iter().find(|it| it["name"] == name).unwrap();
        format!(
            "{} from {}",
            found["value"].as_str().unwrap_or("-"),
            found["source"].as_str().unwrap()
        )
    };
    assert_eq!(find("listen"), "127.0.0.1:3 from --listen");
    assert_eq!(find("db_port"), "2 from DB_PORT");
    assert_eq!(
        find("server_url"),
        "https://file.example from tollbook.toml"
    );
    assert_eq!(
        find("cors_origins"),
        "https://a.example,https://b.example from tollbook.toml"
    );
    assert_eq!(find("metrics_token"), "******** from tollbook.toml");
    assert_eq!(find("secret_key"), "******** from TOLLBOOK_SECRET_KEY");
    assert_eq!(find("rate_limit_user"), "50 from default");
}

#[test]
fn wrong_usage_exits_with_2_and_names_what_is_wrong() {
    let folder = folder();
    let unknown = run(folder.path(), &["config", "--no-such-flag"]);
    assert_eq!(unknown.status.code(), Some(2));
    std::fs::write(folder.path().join("tollbook.toml"), "lisen = 'x'").unwrap();
    let file = run(folder.path(), &["config"]);
    assert_eq!(file.status.code(), Some(2));
    assert!(
        text(&file.stderr).contains("`lisen`"),
        "{}",
        text(&file.stderr)
    );
}

#[test]
fn development_sign_in_never_leaves_the_machine() {
    let folder = folder();
    let refused = run(
        folder.path(),
        &["serve", "--dev-auth", "--listen", "0.0.0.0:0"],
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("loopback"));
    assert!(
        !folder.path().join("postgres").exists(),
        "it was refused before anything was made"
    );
}

#[test]
fn a_database_out_of_reach_fails_in_one_sentence_without_its_password() {
    let folder = folder();
    let url = "postgres://ann:hunter2@127.0.0.1:1/none";
    let failed = run(folder.path(), &["migrate", "--database-url", url]);
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed.stderr);
    assert!(
        said.starts_with("error: ") && said.trim().lines().count() == 1,
        "{said}"
    );
    assert!(!said.contains("hunter2"));
}

#[test]
fn the_first_admin_signs_in_by_token() {
    let folder = folder();
    let path = folder.path();
    let added = run(
        path,
        &[
            "user",
            "add",
            "ann@example.com",
            "--platform-admin",
            "--name",
            "Ann",
        ],
    );
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert!(text(&added.stdout).contains("password: "));
    let again = run(path, &["user", "add", "ann@example.com"]);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(
        text(&again.stderr),
        "error: there is a user `ann@example.com` already\n"
    );

    let server = Serving::start(path);
    let token = run(path, &["token", "ann@example.com"]);
    let me = get(
        &format!("{}/api/me", server.base),
        text(&token.stdout).trim(),
    );
    assert!(
        me.contains("\"platformAdmin\":true") && me.contains("\"name\":\"Ann\""),
        "{me}"
    );
    let listed = run(path, &["user", "list"]);
    assert!(text(&listed.stdout).contains("platform_admin"));
    assert_eq!(
        server.stop(),
        Some(0),
        "SIGTERM is a clean stop: {}",
        logged(path)
    );
}

#[test]
fn commands_attach_to_the_running_database_and_a_second_server_is_refused() {
    let folder = folder();
    let path = folder.path();
    let server = Serving::start(path);
    let second = run(path, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(
        text(&second.stderr).contains("another instance"),
        "{}",
        text(&second.stderr)
    );
    let doctor = run(path, &["doctor"]);
    assert!(doctor.status.success(), "{}", text(&doctor.stdout));
    let counted = run(
        path,
        &["db", "psql", "--", "-Atc", "select count(*) from users"],
    );
    assert_eq!(
        text(&counted.stdout).trim(),
        "0",
        "{}",
        text(&counted.stderr)
    );
    let url = text(&run(path, &["db", "url"]).stdout);
    assert!(
        url.starts_with("postgres://tollbook@localhost/tollbook?host=/"),
        "{url}"
    );
    assert_eq!(server.stop(), Some(0));
    let stopped = run(path, &["db", "url"]);
    assert_eq!(
        stopped.status.code(),
        Some(1),
        "the database stopped with the server"
    );
}

#[test]
fn a_node_may_do_only_a_part() {
    let folder = folder();
    let mut jobs = tollbook(folder.path())
        .args(["serve", "--only", "jobs", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(jobs.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "working on jobs\n");
    Serving {
        process: jobs,
        base: String::new(),
    }
    .stop();
}

/// What the server answers.
fn get(url: &str, token: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let request = reqwest::Client::new().get(url).bearer_auth(token);
        request.send().await.unwrap().text().await.unwrap()
    })
}

#[test]
fn roles_and_passwords_change_from_the_command_line() {
    let folder = folder();
    let path = folder.path();
    let ok = |arguments: &[&str]| {
        let output = run(path, arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    };
    ok(&[
        "user",
        "add",
        "bob@example.com",
        "--password",
        "a long password",
    ]);
    ok(&["user", "role", "bob@example.com", "platform_admin"]);
    assert!(ok(&["user", "list"]).contains("platform_admin"));
    ok(&["user", "role", "bob@example.com", "user"]);
    assert!(!ok(&["user", "list"]).contains("platform_admin"));
    assert!(ok(&["user", "password", "bob@example.com"]).starts_with("password: "));
    let unknown = run(
        path,
        &[
            "user",
            "role",
            "bob@example.com",
            "org_admin",
            "--org",
            "acme",
        ],
    );
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("no organization `acme`"));
    let short = run(
        path,
        &["user", "password", "bob@example.com", "--password", "short"],
    );
    assert!(text(&short.stderr).contains("at least 8 characters"));
}

#[test]
fn the_doctor_makes_six_checks_of_a_mapping_and_changes_nothing() {
    let folder = folder();
    let path = folder.path();
    let checks = |number: &str| {
        let output = run(path, &["doctor", "--json", "--mapping", number]);
        let findings: Vec<serde_json::Value> =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let found = findings.iter().map(|it| {
            let mark = if it["ok"] == true { "ok" } else { "FAIL" };
            let text = it["found"].as_str().unwrap();
            format!("{mark} {}: {text}", it["check"].as_str().unwrap())
        });
        (output.status.code(), found.collect::<Vec<_>>().join("\n"))
    };
    let (code, found) = checks("+12505551234");
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(found, @r"
    ok mapping relations: all 3
    ok usage functions: all 3
    FAIL mapping to tenant: number `+12505551234` is not mapped to a tenant by its Twilio SID
    FAIL mapping in the database: there is no row of it
    FAIL usage counters: no counters were begun
    FAIL mapping it again: there is nothing to map again
    ");
    let added = run(
        path,
        &["user", "add", "ann@example.com", "--platform-admin"],
    );
    assert!(added.status.success(), "{added:?}");
    let server = Serving::start(path);
    let token = run(path, &["token", "ann@example.com"]);
    assert!(token.status.success(), "{token:?}");
    let token = text(&token.stdout);
    let body = serde_json::json!({"tenant_id": "test-tenant-123", "phone_number": "+12505551234",
        "twilio_number_sid": format!("PN{}", "x".repeat(32))});
    let url = format!("{}/functions/v1/ops-map-number-to-tenant", server.base);
    let mapped = post(&url, token.trim(), &body);
    assert!(mapped.contains("\"success\":true"), "{mapped}");
    let events = [
        "db",
        "psql",
        "--",
        "-Atc",
        "select count(*) from analytics_events",
    ];
    let before = text(&run(path, &events).stdout);
    let (code, found) = checks("+12505551234");
    assert_eq!(code, Some(0), "{found}");
    insta::assert_snapshot!(without_ids(&found), @r"
    ok mapping relations: all 3
    ok usage functions: all 3
    ok mapping to tenant: ✅ Mapped +12505551234 to tenant and initialized usage counters (updated)
    ok mapping in the database: tenant `test-tenant-123`, mapping …
    ok usage counters: 0 minutes in 0 calls, 0 messages sent, 0 received this month
    ok mapping it again: ✅ Mapped +12505551234 to tenant and initialized usage counters (updated)
    ");
    assert_eq!(text(&run(path, &events).stdout), before);
    assert_eq!(
        run(path, &["doctor", "--mapping", "12"]).status.code(),
        Some(2)
    );
    server.stop();
}

/// Without ids, which differ from run to run.
fn without_ids(found: &str) -> String {
    let lines = found
        .lines()
        .map(|line| match line.split_once("mapping 0") {
            Some((start, _)) => format!("{start}mapping …"),
            None => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// What the server answers to a JSON document.
fn post(url: &str, token: &str, body: &serde_json::Value) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let request = reqwest::Client::new()
            .post(url)
            .bearer_auth(token)
            .json(body);
        request.send().await.unwrap().text().await.unwrap()
    })
}

#[test]
fn a_book_is_tried_brought_in_and_taken_back() {
    let folder = folder();
    let path = folder.path();
    let server = Serving::start(path);
    let sql = "insert into organizations (id, name, external_key) values (gen_random_uuid(), 'Acme', 'acme');
        insert into sellers (id, organization_id, invoice_prefix) select id, id, 'INV' from organizations";
    let made = run(path, &["db", "psql", "--", "-qc", sql]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let write = |name: &str, book: &str| std::fs::write(path.join(name), book).unwrap();
    write(
        "bad.json",
        r#"{"format": "tollbook.book/1", "customers": [{"numbers": ["12"]}]}"#,
    );
    let bad = run(path, &["import", "book", "bad.json", "--org", "acme"]);
    assert_eq!(bad.status.code(), Some(1));
    let told = text(&bad.stderr);
    for place in [
        "customers[0].key: ",
        "customers[0].numbers[0]: ",
        "error: 2 flaws",
    ] {
        assert!(told.contains(place), "{told}");
    }
    write(
        "book.json",
        r#"{"format": "tollbook.book/1", "customers": [{"key": "a", "credit": [{"currency": "USD", "amount": 5}]}]}"#,
    );
    let ok = |arguments: &[&str]| {
        let output = run(path, arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let bring = ["import", "book", "book.json", "--org", "acme"];
    let trial = ok(&[&bring[..], &["--dry-run"]].concat());
    assert_eq!(
        trial,
        "1 customers would be brought in\n1 credits would be brought in\nUSD: 0.00 open, 5.00 credit, 0.00 prepaid\nnothing was written\n"
    );
    let brought = ok(&bring);
    let id = brought.trim().rsplit(' ').next().unwrap().to_owned();
    assert!(brought.starts_with("1 customers brought in\n"), "{brought}");
    let again = ok(&bring);
    assert_eq!(again, "2 are here already\nnothing was written\n");
    assert_eq!(
        ok(&["import", "undo", &id]),
        format!("import {id} is taken back\n")
    );
    let twice = run(path, &["import", "undo", &id]);
    assert_eq!(twice.status.code(), Some(1));
    assert_eq!(
        text(&twice.stderr),
        "error: this import is taken back already\n"
    );
    assert!(run(path, &["verify"]).status.success());
    assert_eq!(server.stop(), Some(0));
}
