//! `healthcheck` -> `ready`.

use std::time::Duration;

use super::{network::well_known, service::Converter};
use crate::{
    domain::parse_duration,
    features::init::{words, yaml::Value},
};

/// What compose takes where a healthcheck says nothing.
const INTERVAL: Duration = Duration::from_secs(30);
const RETRIES: u32 = 3;
/// What a manifest takes where `within` is not written.
const DEFAULT_WITHIN: Duration = Duration::from_mins(1);
/// The longest that a manifest takes.
const LONGEST_WITHIN: Duration = Duration::from_hours(24);

pub(super) fn convert(converter: &mut Converter<'_>) {
    let check = converter.get("healthcheck").cloned().unwrap_or(Value::Null);
    let is_off = check.get("disable").and_then(Value::text) == Some("true");
    let mut entries = match probe(check.get("test").unwrap_or(&Value::Null)) {
        Some(probe) if !is_off => probe.entries(converter),
        _ if is_off => return,
        // A database that is waited for should answer before others start.
        _ => match well_known(converter) {
            Some(_) => first_port(converter)
                .map(|port| vec![("tcp".to_owned(), Value::of(port))])
                .unwrap_or_default(),
            None => return,
        },
    };
    if entries.is_empty() {
        return;
    }
    if let Some(within) = within(&check) {
        entries.push((
            "within".to_owned(),
            Value::of(format!("{}s", within.as_secs())),
        ));
    }
    converter.part.key("ready", Value::Map(entries));
}

/// The first TCP port of the service.
fn first_port(converter: &Converter<'_>) -> Option<String> {
    let mut ports = converter.part.get("ports")?.items().iter();
    ports.find_map(Value::text).map(str::to_owned)
}

/// How long the checks may fail in all, if that is longer than what a manifest takes.
fn within(check: &Value) -> Option<Duration> {
    let duration = |key: &str| {
        check
            .get(key)
            .and_then(Value::text)
            .and_then(|text| parse_duration(text).ok())
    };
    let retries = check
        .get("retries")
        .and_then(Value::text)
        .and_then(|text| text.parse().ok());
    let failing = duration("interval")
        .unwrap_or(INTERVAL)
        .checked_mul(retries.unwrap_or(RETRIES))?;
    let all = failing
        .checked_add(duration("start_period").unwrap_or_default())?
        .min(LONGEST_WITHIN);
    let is_written = ["interval", "retries", "start_period"]
        .iter()
        .any(|key| check.get(key).is_some());
    (is_written && all > DEFAULT_WITHIN).then_some(all)
}

/// A check, understood.
#[derive(Debug, PartialEq, Eq)]
enum Check {
    Http { port: u16, path: String },
    Command(Vec<String>),
}

impl Check {
    fn entries(self, converter: &mut Converter<'_>) -> Vec<(String, Value)> {
        match self {
            Self::Command(words) => vec![("command".to_owned(), Value::list(words))],
            Self::Http { port, path } => {
                let mut entries = vec![("http".to_owned(), Value::of(path))];
                if first_port(converter).as_deref() != Some(&*port.to_string()) {
                    entries.push(("port".to_owned(), Value::of(port.to_string())));
                }
                entries
            }
        }
    }
}

/// The check of `test`; `None` if there is none.
fn probe(test: &Value) -> Option<Check> {
    let texts: Vec<String> = test
        .items()
        .iter()
        .filter_map(Value::text)
        .map(str::to_owned)
        .collect();
    let (shell, command) = match (test, texts.split_first()?) {
        (Value::Scalar(text), _) => (Some(text.clone()), Vec::new()),
        (_, (kind, rest)) if kind == "CMD-SHELL" => (Some(rest.join(" ")), Vec::new()),
        (_, (kind, rest)) if kind == "CMD" => (None, rest.to_vec()),
        _ => return None,
    };
    let words = match &shell {
        Some(text) => simple(text).unwrap_or_default(),
        None => command.clone(),
    };
    let http = http(&words);
    let command = match shell {
        Some(text) => ["sh", "-c", &text].map(str::to_owned).to_vec(),
        None => command,
    };
    http.or((!command.is_empty()).then_some(Check::Command(command)))
}

/// The words of a shell command that is nothing but one program and `|| exit 1`.
fn simple(text: &str) -> Option<Vec<String>> {
    let command = match text.split_once("||") {
        Some((command, rest)) if matches!(rest.trim(), "exit 1" | "false" | "exit 1;") => command,
        Some(_) => return None,
        None => text,
    };
    let is_simple = !command.contains(['|', ';', '&', '$', '`', '<', '('])
        || command.matches(['|', ';', '$', '`', '<', '(']).count() == 0;
    words::split(command).filter(|_| is_simple)
}

/// A GET of an address of the container itself, without a header or a body.
fn http(words: &[String]) -> Option<Check> {
    let (program, rest) = words.split_first()?;
    let program = program.rsplit('/').next()?;
    let is_other = |word: &String| {
        [
            "-H",
            "-d",
            "-X",
            "-u",
            "-k",
            "--header",
            "--data",
            "--request",
            "--user",
            "--post",
        ]
        .iter()
        .any(|option| {
            word == option
                || (option.starts_with("--")
                    && word.starts_with(option)
                    && !word.starts_with("--user-agent"))
        })
    };
    if !matches!(program, "curl" | "wget") || rest.iter().any(is_other) {
        return None;
    }
    let url = rest.iter().find(|word| {
        word.contains("localhost") || word.contains("127.0.0.1") || word.contains("0.0.0.0")
    })?;
    let url = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = match url.find('/') {
        Some(at) => url.split_at(at),
        None => (url, "/"),
    };
    let (host, port) = host.split_once(':').unwrap_or((host, "80"));
    let is_self = matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0");
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (is_self && !path.contains(char::is_whitespace)).then(|| Check::Http {
        port,
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(test: &str) -> Option<Check> {
        probe(&crate::features::init::yaml::read(test).unwrap())
    }

    #[test]
    fn a_plain_get_is_an_http_probe() {
        let http = |port, path: &str| {
            Some(Check::Http {
                port,
                path: path.to_owned(),
            })
        };
        for (test, expected) in [
            (
                "[CMD, curl, -f, 'http://localhost:8080/healthz']",
                http(8080, "/healthz"),
            ),
            (
                "[CMD-SHELL, 'curl -fsS http://127.0.0.1:3000/up || exit 1']",
                http(3000, "/up"),
            ),
            (
                "wget --no-verbose --tries=1 --spider http://localhost || exit 1",
                http(80, "/"),
            ),
            (
                "[CMD, wget, -q, --spider, 'localhost:9000/a?b=c']",
                http(9000, "/a?b=c"),
            ),
        ] {
            assert_eq!(check(test), expected, "{test}");
        }
    }

    #[test]
    fn anything_else_is_a_command() {
        let command = |words: &[&str]| {
            Some(Check::Command(
                words.iter().map(|word| (*word).to_owned()).collect(),
            ))
        };
        for (test, expected) in [
            ("[CMD, redis-cli, ping]", command(&["redis-cli", "ping"])),
            (
                "[CMD-SHELL, pg_isready -U $USER]",
                command(&["sh", "-c", "pg_isready -U $USER"]),
            ),
            (
                "curl -f http://localhost | grep ok",
                command(&["sh", "-c", "curl -f http://localhost | grep ok"]),
            ),
            (
                "[CMD, curl, -H, 'A: b', 'http://localhost/']",
                command(&["curl", "-H", "A: b", "http://localhost/"]),
            ),
            (
                "[CMD, curl, 'https://localhost/']",
                command(&["curl", "https://localhost/"]),
            ),
            ("[NONE]", None),
            ("~", None),
        ] {
            assert_eq!(check(test), expected, "{test}");
        }
    }
}
