//! What the suites run against: `tollbook serve` with the settings of a real installation, on data that is thrown away,
//! and `tollbook sandbox` in the place of the providers.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::workspace;

/// The address under which providers know the server; nothing is asked of it, since it stands for a proxy.
const PUBLIC_URL: &str = "https://hooks.example.test";

const SETTINGS: [(&str, &str); 3] = [
    ("SERVER_URL", PUBLIC_URL),
    // The platform's own service, by its key and by the secret that tokens are signed with.
    ("SUPABASE_SERVICE_KEY", "sb_secret_conformance-service-key"),
    (
        "SUPABASE_JWT_SECRET",
        "conformance-jwt-secret-of-at-least-32-characters",
    ),
];

/// A running server.
pub(super) struct Ground {
    /// The folder in which suites install what they need; it stays between runs.
    pub(super) folder: PathBuf,
    /// What the server is told, and where it is reached; the scripts are told the same.
    settings: Vec<(String, String)>,
    /// They end with the ground, the server first.
    _server: Program,
    _sandbox: Program,
}

/// A running program, which is asked to stop when nobody holds it any more.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

impl Ground {
    /// Builds the program and starts it on an empty database.
    pub(super) fn start() -> Result<Self> {
        workspace::run(workspace::cargo()?.args(["build", "--quiet", "--package", "tollbook"]))?;
        let program = workspace::target_dir()?.join("debug/tollbook");
        let folder = workspace::target_dir()?.join("conformance");
        std::fs::create_dir_all(&folder)?;
        let data = folder.join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        let mut settings: Vec<(String, String)> = SETTINGS
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut command = Command::new(&program);
        command.args(["sandbox", "--quiet", "--listen", "127.0.0.1:0"]);
        command.args(["--webhooks", PUBLIC_URL]);
        let (sandbox, said) = started(&mut command, "TWILIO_BASE_URL=")?;
        // The settings that lead to the sandbox's account are a line as one would type it.
        let of_account = said.split_whitespace().filter_map(|it| it.split_once('='));
        settings.extend(of_account.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut command = Command::new(&program);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .envs(settings.iter().map(|(name, value)| (name, value)));
        let (server, said) = started(&mut command, "listening on ")?;
        let url = said.trim_start_matches("listening on ").to_owned();
        settings.push(("TOLLBOOK_URL".to_owned(), url));
        Ok(Self {
            folder,
            settings,
            _server: server,
            _sandbox: sandbox,
        })
    }

    /// Lets a script know where everything is.
    pub(super) fn tell<'a>(&self, script: &'a mut Command) -> &'a mut Command {
        script.envs(self.settings.iter().map(|(name, value)| (name, value)))
    }
}

/// Starts a program and waits for a line that begins like this.
fn started(command: &mut Command, begins: &str) -> Result<(Program, String)> {
    let child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let mut program = Program(child);
    let output = program.0.stdout.take();
    let output = output.context("the program has no output")?;
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    if let Some(line) = lines.find(|line| line.starts_with(begins)) {
        // Whatever else it says has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        Ok((program, line))
    } else {
        bail!("{command:?} ended before it said `{begins}`")
    }
}

/// Asks a program to stop, and waits for it.
fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    // The standard library can only kill; a server that is asked ends its database in order.
    let asked = Command::new("kill").arg(child.id().to_string()).status();
    if !asked.is_ok_and(|status| status.success()) {
        let _ = child.kill();
    }
    let _ = child.wait();
}

/// Whether what `made` stands for is as new as `source`.
pub(super) fn is_fresh(made: &Path, source: &Path) -> Result<bool> {
    let Ok(made) = made.metadata() else {
        return Ok(false);
    };
    Ok(made.modified()? >= source.metadata()?.modified()?)
}
