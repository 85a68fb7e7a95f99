//! A real browser: headless Chromium, controlled over the `WebDriver` protocol, which is JSON over
//! HTTP.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// A browser with one page. It ends when this value is dropped.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// The driver's output, which stays open so that the driver can write to it.
    _said: BufReader<ChildStdout>,
    /// The browser's profile, which is removed with this value.
    profile: tempfile::TempDir,
}

/// A limit that no page reaches, even on a slow machine.
const PATIENCE: Duration = Duration::from_mins(2);

impl Browser {
    /// Starts a browser of this size in pixels, or returns why it can't.
    pub(crate) fn start(width: u32, height: u32) -> Result<Self, String> {
        let mut command = Command::new("chromedriver");
        let command = command.arg("--port=0").stdin(Stdio::null());
        let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command
            .spawn()
            .map_err(|error| format!("chromedriver: {error}"))?;
        let profile = tempfile::tempdir().map_err(|error| error.to_string())?;
        let said = driver.stdout.take().ok_or("no standard output")?;
        let mut said = BufReader::new(said);
        let port = announced(&mut said);
        let mut browser = Self {
            driver,
            port: port.unwrap_or_default(),
            session: String::new(),
            _said: said,
            profile,
        };
        if port.is_none() {
            return Err("chromedriver does not say its port".to_owned());
        }
        let options = json!({ "args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", browser.profile.path().display()),
        ] });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
            // An alert stays open, so that a test can detect it.
            "unhandledPromptBehavior": "ignore",
            "timeouts": { "script": 60_000, "pageLoad": 60_000 },
        } } });
        let begun = browser.call("POST", "/session", &wanted)?;
        let session = begun["sessionId"].as_str().ok_or("no session")?;
        browser.session = format!("/session/{session}");
        Ok(browser)
    }

    /// Opens a file and waits until it is loaded.
    pub(crate) fn open(&self, file: &Path) {
        let url = format!("file://{}", file.display());
        self.post("/url", &json!({ "url": url }));
    }

    /// Runs the body of a function with `arguments`, and returns its result.
    pub(crate) fn ask(&self, body: &str, arguments: &Value) -> Value {
        self.post(
            "/execute/sync",
            &json!({ "script": body, "args": arguments }),
        )
    }

    /// Runs the body of a function that returns its result by calling its last argument.
    pub(crate) fn wait_for(&self, body: &str) -> Value {
        self.post("/execute/async", &json!({ "script": body, "args": [] }))
    }

    /// Types these keys in order.
    pub(crate) fn keys(&self, keys: &[&str]) {
        let strokes = keys.iter().flat_map(|key| {
            [
                json!({ "type": "keyDown", "value": key }),
                json!({ "type": "keyUp", "value": key }),
            ]
        });
        let strokes: Vec<Value> = strokes.collect();
        let actions = json!([{ "type": "key", "id": "keyboard", "actions": strokes }]);
        self.post("/actions", &json!({ "actions": actions }));
    }

    /// Clicks at this position of the viewport.
    pub(crate) fn click(&self, x: i64, y: i64) {
        let mouse = json!({ "type": "pointer", "id": "mouse", "actions": [
            { "type": "pointerMove", "x": x, "y": y, "duration": 0 },
            { "type": "pointerDown", "button": 0 },
            { "type": "pointerUp", "button": 0 },
        ] });
        self.post("/actions", &json!({ "actions": [mouse] }));
    }

    /// Resizes the window, in pixels.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        self.post("/window/rect", &json!({ "width": width, "height": height }));
    }

    /// The warnings and errors on the console since the last call.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({ "type": "browser" }));
        let entries = log.as_array().cloned().unwrap_or_default();
        let bad = |entry: &Value| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING"));
        let bad = entries.iter().filter(|entry| bad(entry));
        bad.map(|entry| entry["message"].to_string()).collect()
    }

    /// Whether a dialog is open.
    pub(crate) fn has_alert(&self) -> bool {
        self.call("GET", &format!("{}/alert/text", self.session), &Value::Null)
            .is_ok()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let done = self.call("POST", &format!("{}{path}", self.session), body);
        done.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self
            .exchange(method, path, &body)
            .map_err(|error| error.to_string())?;
        let value: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        let value = value["value"].clone();
        match value["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", value["message"])),
            None => Ok(value),
        }
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: {length}\r\n\r\n{body}",
            self.port
        )?;
        // The driver keeps connections open, whatever a request says.
        let mut stream = BufReader::new(stream);
        let mut length = 0;
        let mut line = String::new();
        while stream.read_line(&mut line)? > 2 {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
            line.clear();
        }
        let mut answer = String::new();
        stream.take(length).read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// The port that chromedriver announces.
fn announced(said: &mut BufReader<ChildStdout>) -> Option<u16> {
    let mut lines = said.lines().map_while(Result::ok);
    lines.find_map(|line| {
        let (_, port) = line.split_once("successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    })
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.call("DELETE", &self.session, &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
