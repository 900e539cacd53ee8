//! One service of a compose file.

use std::collections::BTreeMap;

use super::{Shared, environment, health, image, network, storage};
use crate::{
    domain::Cpu,
    features::init::{
        draft::Part, interpolate::interpolate, secrets::SecretFile, words, yaml::Value,
    },
    report::NotConverted,
};

/// What a service came to.
pub(super) struct Outcome {
    pub(super) part: Part,
    pub(super) secrets: Option<SecretFile>,
    pub(super) not_converted: Vec<NotConverted>,
}

/// Keys that change nothing here, or whose effect Kubernetes has anyway.
const SILENT: [&str; 15] = [
    "restart",
    "stdin_open",
    "tty",
    "init",
    "labels",
    "logging",
    "pull_policy",
    "platform",
    "attach",
    "version",
    "annotations",
    "stop_grace_period",
    "oom_score_adj",
    "oom_kill_disable",
    "label_file",
];
/// Keys that the parts of the conversion read.
const READ: [&str; 24] = [
    "image",
    "build",
    "command",
    "entrypoint",
    "environment",
    "env_file",
    "ports",
    "expose",
    "depends_on",
    "links",
    "volumes",
    "tmpfs",
    "healthcheck",
    "deploy",
    "scale",
    "mem_limit",
    "mem_reservation",
    "cpus",
    "container_name",
    "hostname",
    "networks",
    "network_mode",
    "develop",
    "profiles",
];
/// Other keys, and what to do.
const ADVICE: [(&str, &str); 11] = [
    (
        "secrets",
        "write the values to a file of KEY=value lines and name it in `secrets`: they become variables",
    ),
    ("configs", "copy the files in the Dockerfile"),
    ("working_dir", "set WORKDIR in the Dockerfile"),
    ("user", "set USER in the Dockerfile"),
    (
        "extends",
        "write what it takes from the other file into the service, and convert again",
    ),
    (
        "extra_hosts",
        "make it a service, or name the address in `env`",
    ),
    ("stop_signal", "set STOPSIGNAL in the Dockerfile"),
    ("volumes_from", "write the volumes into the service"),
    (
        "external_links",
        "name the other program's address in `env`",
    ),
    ("post_start", "write the command into `hooks.afterUp`"),
    ("pre_stop", "write the command into `hooks.beforeDown`"),
];
const NO_KEY: &str =
    "the manifest has no such key: use a chart or plain manifests for this service if it needs it";

/// A service while it is converted.
pub(super) struct Converter<'a> {
    pub(super) shared: &'a Shared<'a>,
    /// As compose names it.
    pub(super) original: &'a str,
    /// As it is named in the manifest.
    pub(super) name: String,
    /// Its keys, variables replaced.
    pub(super) compose: Value,
    /// Its keys as they are written.
    pub(super) raw: &'a Value,
    /// Variables for the file of secrets.
    pub(super) secrets: BTreeMap<String, String>,
    pub(super) part: Part,
    pub(super) not_converted: Vec<NotConverted>,
}

pub(super) fn convert(original: &str, shared: &Shared<'_>) -> Outcome {
    let nothing = Value::Null;
    let raw = shared.services.get(original).unwrap_or(&nothing);
    let name = shared.names.get(original).cloned().unwrap_or_default();
    let mut missing = Vec::new();
    let compose = filled(raw, &shared.known, &mut missing);
    let mut converter = Converter {
        part: Part {
            name: name.clone(),
            ..Part::default()
        },
        shared,
        original,
        name,
        compose,
        raw,
        secrets: BTreeMap::new(),
        not_converted: Vec::new(),
    };
    missing.sort();
    missing.dedup();
    for variable in missing {
        converter.tell(
            "${..}",
            &format!("`{variable}` has no value and is empty here"),
            "write the value in its place",
        );
    }
    converter.all()
}

/// `value` with its variables replaced.
fn filled(value: &Value, known: &BTreeMap<String, String>, missing: &mut Vec<String>) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Scalar(text) => {
            let mut done = interpolate(text, known);
            missing.append(&mut done.missing);
            Value::Scalar(done.text)
        }
        Value::List(items) => Value::List(
            items
                .iter()
                .map(|item| filled(item, known, missing))
                .collect(),
        ),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (key.clone(), filled(value, known, missing)));
            Value::Map(entries.collect())
        }
    }
}

impl Converter<'_> {
    fn all(mut self) -> Outcome {
        let is_job = self.shared.jobs.contains(self.original);
        if self.original != self.name {
            let what = format!("`{}` is now called `{}`", self.original, self.name);
            self.tell("name", &what, "change the values of `env` that name it");
        }
        image::convert(&mut self);
        self.commands(is_job);
        if !is_job {
            network::convert(&mut self);
        }
        let secrets = environment::convert(&mut self);
        network::depends_on(&mut self);
        if !is_job {
            health::convert(&mut self);
            storage::convert(&mut self);
        }
        self.resources();
        if !is_job {
            self.replicas();
        }
        self.others(is_job);
        Outcome {
            part: self.part,
            secrets,
            not_converted: self.not_converted,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.compose.get(key).filter(|value| **value != Value::Null)
    }

    /// Tells what is not converted, and what to do.
    pub(super) fn tell(&mut self, key: &str, what: &str, help: &str) {
        self.not_converted.push(NotConverted {
            service: Some(self.name.clone()),
            key: key.to_owned(),
            what: what.to_owned(),
            help: help.to_owned(),
        });
    }

    fn commands(&mut self, is_job: bool) {
        let entrypoint = self.command("entrypoint");
        let command = self.command("command");
        if is_job {
            // A task has one list for both.
            let all: Vec<String> = entrypoint
                .into_iter()
                .flatten()
                .chain(command.into_iter().flatten())
                .collect();
            if !all.is_empty() {
                self.part.key("command", Value::list(all));
            }
            return;
        }
        for (key, words) in [("command", entrypoint), ("args", command)] {
            if let Some(words) = words.filter(|words| !words.is_empty()) {
                self.part.key(key, Value::list(words));
            }
        }
    }

    fn command(&mut self, key: &str) -> Option<Vec<String>> {
        match self.get(key)?.clone() {
            Value::Scalar(text) => {
                let words = words::split(&text);
                if words.is_none() {
                    self.tell(key, "a quote is not closed", "write it as a list");
                }
                words
            }
            list => Some(
                list.items()
                    .iter()
                    .filter_map(Value::text)
                    .map(str::to_owned)
                    .collect(),
            ),
        }
    }

    fn resources(&mut self) {
        let of = |section: &str, key: &str| {
            let resources = self.get("deploy")?.get("resources")?;
            resources.get(section)?.get(key)?.text().map(str::to_owned)
        };
        let own = |key: &str| self.get(key).and_then(Value::text).map(str::to_owned);
        let amounts = [
            (
                "requests",
                of("reservations", "cpus"),
                of("reservations", "memory").or_else(|| own("mem_reservation")),
            ),
            (
                "limits",
                of("limits", "cpus").or_else(|| own("cpus")),
                of("limits", "memory").or_else(|| own("mem_limit")),
            ),
        ];
        let mut resources = Vec::new();
        for (section, cpu, memory) in amounts {
            let cpu = cpu
                .and_then(|text| text.parse::<Cpu>().ok())
                .filter(|cpu| cpu.millis() > 0);
            let cpu = cpu.map(|cpu| ("cpu".to_owned(), Value::of(cpu.to_string())));
            let memory = memory.and_then(|text| storage::size(&text));
            let memory = memory.map(|memory| ("memory".to_owned(), Value::of(memory.to_string())));
            let entries: Vec<(String, Value)> = cpu.into_iter().chain(memory).collect();
            if !entries.is_empty() {
                resources.push((section.to_owned(), Value::Map(entries)));
            }
        }
        if !resources.is_empty() {
            self.part.key("resources", Value::Map(resources));
        }
    }

    fn replicas(&mut self) {
        let replicas = self
            .get("deploy")
            .and_then(|deploy| deploy.get("replicas"))
            .or_else(|| self.get("scale"));
        if let Some(count) = replicas
            .and_then(Value::text)
            .and_then(|text| text.parse::<u32>().ok())
            && count != 1
        {
            self.part.key("replicas", Value::of(count.to_string()));
        }
    }

    fn others(&mut self, is_job: bool) {
        if is_job {
            let help = format!(
                "it is a task: run it with `devenv exec {}` when the others are up",
                self.name
            );
            self.tell("depends_on", "others wait for it to end", &help);
        }
        if let Some(profiles) = self.get("profiles").cloned() {
            let names: Vec<&str> = profiles.items().iter().filter_map(Value::text).collect();
            let help =
                "it starts with the others; name the services to start only some: `devenv up a b`";
            self.tell("profiles", &names.join(", "), help);
        }
        if let Some(deploy) = self.get("deploy").cloned() {
            for (key, _) in deploy.entries() {
                if !["replicas", "resources", "restart_policy", "labels", "mode"]
                    .contains(&key.as_str())
                {
                    self.tell(
                        &format!("deploy.{key}"),
                        "it is for Docker Swarm",
                        "nothing to do in a development cluster",
                    );
                }
            }
            let gpus = deploy
                .get("resources")
                .and_then(|all| all.get("reservations"))
                .and_then(|all| all.get("devices"));
            if gpus.is_some() {
                self.tell(
                    "deploy.resources.reservations.devices",
                    "the container gets no device",
                    NO_KEY,
                );
            }
        }
        for (key, value) in self.compose.clone().entries() {
            let is_known = READ.contains(&key.as_str()) || SILENT.contains(&key.as_str());
            if is_known || key.starts_with("x-") || *value == Value::Null {
                continue;
            }
            let advice = ADVICE.iter().find(|(name, _)| name == key);
            self.tell(
                key,
                "it is ignored",
                advice.map_or(NO_KEY, |(_, advice)| advice),
            );
        }
    }
}
