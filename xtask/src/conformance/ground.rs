//! What the suites run against: `tollbook serve` with the settings of a real installation, on data that is thrown away.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use crate::workspace;

/// The address under which providers know the server; nothing is asked of it, since it stands for a proxy.
const PUBLIC_URL: &str = "https://hooks.example.test";
/// The platform's own service, as its key and as the secret that Supabase signs tokens with.
const SERVICE_KEY: &str = "sb_secret_conformance-service-key";
const JWT_SECRET: &str = "conformance-jwt-secret-of-at-least-32-characters";

/// A running server.
pub(super) struct Ground {
    /// Where it is reached: `http://127.0.0.1:…`
    pub(super) server_url: String,
    /// The folder in which suites install what they need; it stays between runs.
    pub(super) folder: PathBuf,
    server: Child,
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
        let mut command = Command::new(&program);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data);
        for (name, value) in settings() {
            command.env(name, value);
        }
        let (server, server_url) = listening(&mut command)?;
        Ok(Self {
            server_url,
            folder,
            server,
        })
    }

    /// Lets a script know where everything is.
    pub(super) fn tell<'a>(&self, script: &'a mut Command) -> &'a mut Command {
        script.env("TOLLBOOK_URL", &self.server_url);
        for (name, value) in settings() {
            script.env(name, value);
        }
        script
    }

    /// Stops everything in order.
    pub(super) fn stop(&mut self) {
        end(&mut self.server);
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the server is told, and the scripts, too.
fn settings() -> Vec<(&'static str, String)> {
    vec![
        ("SERVER_URL", PUBLIC_URL.to_owned()),
        ("SUPABASE_SERVICE_KEY", SERVICE_KEY.to_owned()),
        ("SUPABASE_JWT_SECRET", JWT_SECRET.to_owned()),
    ]
}

/// Starts a program and waits until it says where it listens.
fn listening(command: &mut Command) -> Result<(Child, String)> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let output = child.stdout.take().context("the program has no output")?;
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let url = lines.find_map(|line| Some(line.split_once("listening on ")?.1.trim().to_owned()));
    if let Some(url) = url {
        return Ok((child, url));
    }
    end(&mut child);
    anyhow::bail!("{command:?} ended before it listened")
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
