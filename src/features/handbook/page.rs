//! The text of the page: Markdown, with a graph that Mermaid draws.

use std::{collections::BTreeMap, path::Path};

use super::Handbook;
use crate::domain::{Build, ChartOrigin, ImageName, Port, Protocol, Service, ServiceName, Source};

/// Commands of every day.
const COMMANDS: [(&str, &str); 9] = [
    ("bring everything up, or what changed", "devenv up"),
    ("see how it is", "devenv status"),
    ("read logs", "devenv logs -f"),
    ("watch edits become live", "devenv attach"),
    ("open a shell in a service", "devenv exec SERVICE -- sh"),
    (
        "keep the data as it is now, and bring it back",
        "devenv snapshot save NAME, devenv snapshot restore NAME",
    ),
    ("know who changed what", "devenv history"),
    ("pause and go on", "devenv stop, devenv start"),
    (
        "end it; with its data too",
        "devenv down, devenv down --volumes",
    ),
];

/// What to try where something is wrong.
const TROUBLE: [(&str, &str); 5] = [
    (
        "a service is not ready",
        "`devenv status` says why; `devenv logs SERVICE --previous` what it said before it ended",
    ),
    (
        "a port is taken",
        "`devenv config set --layer local cluster.ports.http=PORT` for your machine alone",
    ),
    (
        "it worked before",
        "`devenv diff last` says what changed since the last `up`",
    ),
    (
        "the data is not what it should be",
        "`devenv data reset` sets it back",
    ),
    (
        "nothing else helps",
        "`devenv down` and `devenv up`: the data stays",
    ),
];

impl Handbook {
    /// The whole page.
    pub(super) fn page(&self) -> String {
        let project = clean(self.environment.project.as_str());
        let head = format!(
            "<!-- Written by `devenv docs generate`: change the manifest and run it again. -->\n\n\
             # The environment of {project}\n\n\
             ```sh\ndevenv up\n```\n"
        );
        let sections = [
            ("What runs", self.services()),
            ("How it fits together", self.graph()),
            ("Addresses", self.addresses()),
            ("What you have to give", self.secrets()),
            ("Tasks", self.tasks()),
            ("Data", self.data()),
            ("Profiles", self.profiles()),
            ("Every day", commands()),
            ("When something is wrong", trouble()),
        ];
        let sections = sections.into_iter().filter(|(_, text)| !text.is_empty());
        let sections = sections.map(|(title, text)| format!("\n## {title}\n\n{text}"));
        head + &sections.collect::<String>()
    }

    fn services(&self) -> String {
        if self.environment.services.is_empty() {
            return String::new();
        }
        let heading = [
            "Service",
            "Made from",
            "Ports",
            "Depends on",
            "Pods",
            "Live",
            "Debugger",
        ];
        let rows = self.environment.services.values().map(|service| {
            let workload = service.workload();
            let ports = workload.map(|workload| ports(&workload.ports));
            let pods = workload.map(|workload| match workload.autoscale {
                Some(scale) => format!("{} to {}", scale.min, scale.max),
                None => workload.replicas.to_string(),
            });
            let yes = |is: bool| if is { "yes" } else { "" }.to_owned();
            let debug = workload.and_then(|workload| workload.debug.as_ref());
            vec![
                service.name.to_string(),
                self.made_from(service),
                ports.unwrap_or_default(),
                names(&service.depends_on),
                pods.unwrap_or_default(),
                yes(workload.is_some_and(|workload| workload.live.is_some())),
                debug
                    .map(|debug| format!("port {}", debug.port))
                    .unwrap_or_default(),
            ]
        });
        table(&heading, rows)
    }

    fn made_from(&self, service: &Service) -> String {
        match &service.source {
            Source::Workload(workload) => self.image(&workload.image),
            Source::Chart(chart) => match &chart.origin {
                ChartOrigin::Path(path) => format!("chart `{}`", self.shown(path)),
                ChartOrigin::Repository {
                    repo,
                    name,
                    version,
                } => format!("chart `{name}` {version} of {repo}"),
            },
            Source::Manifests(paths) => {
                let paths = paths.iter().map(|path| format!("`{}`", self.shown(path)));
                format!("manifests {}", paths.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn image(&self, image: &ImageName) -> String {
        match image {
            ImageName::Reference(reference) => format!("image `{reference}`"),
            ImageName::Build(Build { context, .. }) => {
                format!("build of `{}`", self.shown(context))
            }
        }
    }

    /// Who needs whom, and what the ingress leads to; in the order of the names.
    fn graph(&self) -> String {
        let services = &self.environment.services;
        if services.is_empty() {
            return String::new();
        }
        let ids: BTreeMap<&ServiceName, String> = services
            .keys()
            .enumerate()
            .map(|(index, name)| (name, format!("s{index}")))
            .collect();
        let mut out = String::from("```mermaid\ngraph LR\n");
        for (name, id) in &ids {
            out.push_str(&format!("  {id}[\"{}\"]\n", label(name.as_str())));
        }
        let hosts = services.values().flat_map(|service| {
            let expose = service.workload().map(|workload| &workload.expose);
            let rules = expose.into_iter().flatten();
            rules.map(|rule| (format!("{}{}", rule.host, rule.path), &service.name))
        });
        let mut hosts: Vec<_> = hosts.collect();
        hosts.sort();
        for (index, (host, service)) in hosts.iter().enumerate() {
            let (host, id) = (label(host), &ids[service]);
            out.push_str(&format!("  i{index}([\"{host}\"]) --> {id}\n"));
        }
        for service in services.values() {
            let mut needs: Vec<_> = service
                .depends_on
                .iter()
                .filter_map(|need| ids.get(need))
                .collect();
            needs.sort();
            for need in needs {
                out.push_str(&format!("  {} --> {need}\n", ids[&service.name]));
            }
        }
        out + "```\n"
    }

    fn addresses(&self) -> String {
        let port = self.environment.cluster.http_port.get();
        let port = if port == 80 {
            String::new()
        } else {
            format!(":{port}")
        };
        let services = self.environment.services.values();
        let rows = services.flat_map(|service| {
            let expose = service.workload().map(|workload| &workload.expose);
            let rules = expose.into_iter().flatten();
            rules.map(|rule| {
                let url = format!("<http://{}{port}{}>", rule.host, rule.path);
                vec![service.name.to_string(), url]
            })
        });
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            return String::new();
        }
        table(&["Service", "Address"], rows.into_iter())
    }

    /// Files that are not committed. `*` marks what must be given.
    fn secrets(&self) -> String {
        let mut files: BTreeMap<&Path, Vec<&str>> = BTreeMap::new();
        for service in self.environment.services.values() {
            for path in service
                .workload()
                .into_iter()
                .flat_map(|workload| &workload.secrets)
            {
                files.entry(path).or_default().push(service.name.as_str());
            }
        }
        for task in self.environment.tasks.values() {
            for path in &task.secrets {
                files.entry(path).or_default().push(task.name.as_str());
            }
        }
        if files.is_empty() {
            return String::new();
        }
        let rows = files.into_iter().map(|(path, users)| {
            let variables = self.variables.get(path);
            let variables = variables.map(|names| {
                let names = names.iter().map(|name| format!("`{name}`\\*"));
                names.collect::<Vec<_>>().join(", ")
            });
            vec![
                format!("`{}`\\*", self.shown(path)),
                users.join(", "),
                variables.unwrap_or_else(|| "as its service says".to_owned()),
            ]
        });
        let heading = ["File", "For", "Variables"];
        format!(
            "Files of `KEY=value` lines that hold secrets and are not committed; `*` must be there.\n\n{}",
            table(&heading, rows)
        )
    }

    fn tasks(&self) -> String {
        if self.environment.tasks.is_empty() {
            return String::new();
        }
        let rows = self.environment.tasks.values().map(|task| {
            vec![
                format!("`devenv exec {}`", task.name),
                self.image(&task.image),
                names(&task.depends_on),
            ]
        });
        table(&["Run", "Made from", "Depends on"], rows)
    }

    fn data(&self) -> String {
        let mut out = String::new();
        let services = self.environment.services.values();
        let volumes = services.flat_map(|service| {
            let volumes = service.workload().map(|workload| &workload.volumes);
            let volumes = volumes.into_iter().flatten();
            volumes.map(|volume| {
                let path = format!("`{}`", volume.path);
                vec![service.name.to_string(), volume.name.clone(), path]
            })
        });
        let volumes: Vec<_> = volumes.collect();
        if !volumes.is_empty() {
            let table = table(
                &["Service", "Volume", "In the container"],
                volumes.into_iter(),
            );
            out.push_str(&format!(
                "Kept over `devenv down`, and in snapshots:\n\n{table}"
            ));
        }
        if !self.datasets.is_empty() {
            let rows = self.datasets.iter().map(|(name, about)| {
                let load = format!("`devenv data load {name}`");
                vec![load, about.clone().unwrap_or_default()]
            });
            let gap = if out.is_empty() { "" } else { "\n" };
            let table = table(&["Load", "What it is"], rows);
            out.push_str(&format!("{gap}Datasets:\n\n{table}"));
        }
        out
    }

    fn profiles(&self) -> String {
        let profiles = self.profiles.iter().map(|(name, profile)| {
            let mut out = format!("### `devenv up -p {}`\n\n", clean(name));
            if let Some(about) = &profile.description {
                out.push_str(&format!("{}\n\n", clean(about)));
            }
            let mut facts = Vec::new();
            if !profile.extends.is_empty() {
                facts.push(format!("stands on {}", profile.extends.join(", ")));
            }
            if !profile.only.is_empty() {
                let only = profile.only.join(", ");
                facts.push(format!("only {only}, and what they depend on"));
            }
            if let Some(dataset) = &profile.dataset {
                facts.push(format!("with the dataset {dataset}"));
            }
            for fact in facts {
                out.push_str(&format!("- {}\n", clean(&fact)));
            }
            for (key, value) in &profile.keys {
                out.push_str(&format!("- {}\n", code(&format!("{key}: {value}"))));
            }
            out
        });
        let profiles: Vec<String> = profiles
            .map(|text| text.trim_end().to_owned() + "\n")
            .collect();
        profiles.join("\n")
    }

    /// A path as everybody has it.
    fn shown(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.environment.directory);
        let shown = inside.unwrap_or(path).display().to_string();
        if shown.is_empty() {
            ".".to_owned()
        } else {
            shown
        }
    }
}

fn commands() -> String {
    let rows = COMMANDS.into_iter().map(|(to, commands)| {
        let commands: Vec<String> = commands.split(", ").map(code).collect();
        vec![to.to_owned(), commands.join(", ")]
    });
    table(&["To", "Type"], rows)
}

fn trouble() -> String {
    let rows = TROUBLE
        .into_iter()
        .map(|(what, mend)| vec![what.to_owned(), mend.to_owned()]);
    table(&["What", "Try"], rows)
}

fn ports(ports: &[Port]) -> String {
    let ports = ports.iter().map(|port| match port.protocol {
        Protocol::Tcp => port.number.to_string(),
        Protocol::Udp => format!("{} UDP", port.number),
    });
    ports.collect::<Vec<_>>().join(", ")
}

fn names(names: &[ServiceName]) -> String {
    let mut names: Vec<&str> = names.iter().map(ServiceName::as_str).collect();
    names.sort_unstable();
    names.join(", ")
}

fn table(heading: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let row = |cells: &[String]| {
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| clean(cell).replace('|', "\\|"))
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let heading: Vec<String> = heading.iter().map(|title| (*title).to_owned()).collect();
    let line = format!("|{}\n", " --- |".repeat(heading.len()));
    let rows: String = rows.map(|cells| row(&cells)).collect();
    row(&heading) + &line + &rows
}

/// One line, in which nothing is HTML or steers a terminal.
fn clean(text: &str) -> String {
    let is_url = text.starts_with("<http") && text.ends_with('>');
    let mut clean = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            letter if letter.is_control() || is_unseen(letter) => clean.push(' '),
            '<' if !is_url => clean.push_str("&lt;"),
            letter => clean.push(letter),
        }
    }
    clean
}

/// Characters that turn the direction of what follows, or that show nothing.
const fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Text as it is: in more backticks than it has itself.
fn code(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|letter| {
            if letter.is_control() || is_unseen(letter) {
                ' '
            } else {
                letter
            }
        })
        .collect();
    let mut fence = "`".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    let gap = if fence.len() > 1 { " " } else { "" };
    format!("{fence}{gap}{text}{gap}{fence}")
}

/// A text within quotes in a graph.
fn label(text: &str) -> String {
    clean(text).replace('#', "#35;").replace('"', "#quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_breaks_out_of_its_place() {
        assert_eq!(label("a\"]; x --> y#1"), "a#quot;]; x --> y#35;1");
        assert_eq!(clean("a\nb<script>\u{202e}"), "a b&lt;script> ");
        assert_eq!(code("a`b"), "`` a`b ``");
        let rows = [vec!["a|b".to_owned(), "c\u{1b}[2J".to_owned()]];
        assert_eq!(
            table(&["X", "Y"], rows.into_iter()),
            "| X | Y |\n| --- | --- |\n| a\\|b | c [2J |\n"
        );
    }
}
