//! Ports, the names under which a service is reached, and what it waits for.

use super::{image::dockerfile_of, service::Converter};
use crate::{domain::PortNumber, features::init::yaml::Value};

/// More ports than this are a range for something that a cluster does otherwise.
const MOST_PORTS: usize = 40;

/// Ports of programs that do not speak HTTP.
const NOT_WEB: [u16; 34] = [
    443, 21, 22, 25, 53, 110, 143, 389, 465, 587, 636, 993, 995, 1025, 1433, 1521, 1883, 2181,
    2379, 3306, 4222, 5432, 5672, 6379, 6432, 7687, 8883, 9042, 9092, 9229, 11211, 26257, 27017,
    50051,
];

/// Names of well-known images, and the port they listen on.
const WELL_KNOWN: [(&str, u16); 36] = [
    ("postgres", 5432),
    ("postgresql", 5432),
    ("postgis", 5432),
    ("timescaledb", 5432),
    ("pgvector", 5432),
    ("redis", 6379),
    ("valkey", 6379),
    ("keydb", 6379),
    ("mysql", 3306),
    ("mariadb", 3306),
    ("percona", 3306),
    ("mongo", 27017),
    ("mongodb", 27017),
    ("rabbitmq", 5672),
    ("memcached", 11211),
    ("elasticsearch", 9200),
    ("opensearch", 9200),
    ("kafka", 9092),
    ("cp-kafka", 9092),
    ("zookeeper", 2181),
    ("nats", 4222),
    ("minio", 9000),
    ("mailhog", 1025),
    ("mailpit", 1025),
    ("mailcatcher", 1025),
    ("nginx", 80),
    ("httpd", 80),
    ("caddy", 80),
    ("adminer", 8080),
    ("localstack", 4566),
    ("clickhouse-server", 8123),
    ("cassandra", 9042),
    ("etcd", 2379),
    ("keycloak", 8080),
    ("grafana", 3000),
    ("prometheus", 9090),
];

/// One port of the container.
struct PortEntry {
    number: u16,
    is_udp: bool,
    /// The port on this machine.
    published: Option<String>,
}

pub(super) fn convert(converter: &mut Converter<'_>) {
    let mut ports: Vec<PortEntry> = Vec::new();
    for key in ["ports", "expose"] {
        let entries = converter.get(key).cloned().unwrap_or(Value::Null);
        for entry in entries.items() {
            let is_published = key == "ports";
            match read(entry, is_published) {
                Some(more) if more.len() <= MOST_PORTS => add(&mut ports, more),
                _ => {
                    let shown = entry.text().unwrap_or("a port");
                    converter.tell(
                        key,
                        &format!("{shown} is not a port that can be taken"),
                        "write the ports of the container into `ports`",
                    );
                }
            }
        }
    }
    let is_guess = ports.is_empty();
    if is_guess {
        ports = guessed(converter);
    }
    write(converter, &ports);
    expose(converter, &ports);
    names(converter);
}

fn add(ports: &mut Vec<PortEntry>, more: Vec<PortEntry>) {
    for port in more {
        match ports
            .iter_mut()
            .find(|other| (other.number, other.is_udp) == (port.number, port.is_udp))
        {
            Some(other) => other.published = other.published.take().or(port.published),
            None => ports.push(port),
        }
    }
}

/// The ports of the image, where the compose file has none: there, services need none to reach each other.
fn guessed(converter: &Converter<'_>) -> Vec<PortEntry> {
    let port = |number: u16| PortEntry {
        number,
        is_udp: false,
        published: None,
    };
    if let Some(image) = dockerfile_of(converter) {
        return image
            .ports
            .iter()
            .map(|number| port(number.get()))
            .collect();
    }
    well_known(converter).into_iter().map(port).collect()
}

/// The port of a well-known image.
pub(super) fn well_known(converter: &Converter<'_>) -> Option<u16> {
    let image = converter.part.get("image")?.text()?;
    let last = image.rsplit('/').next()?;
    let name = last.split([':', '@']).next()?;
    WELL_KNOWN
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, port)| *port)
}

/// The ports of one entry: short or long form; `None` if it cannot be read.
fn read(entry: &Value, is_published: bool) -> Option<Vec<PortEntry>> {
    let (target, published, protocol) = if let Some(text) = entry.text() {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        match ports.rsplit_once(':') {
            Some((before, target)) => {
                let published = before.rsplit(':').next().unwrap_or_default();
                (
                    target.to_owned(),
                    Some(published.to_owned()),
                    protocol.to_owned(),
                )
            }
            None => (
                ports.to_owned(),
                is_published.then(String::new),
                protocol.to_owned(),
            ),
        }
    } else {
        let text = |key: &str| entry.get(key).and_then(Value::text).map(str::to_owned);
        (
            text("target")?,
            Some(text("published").unwrap_or_default()),
            text("protocol").unwrap_or_else(|| "tcp".to_owned()),
        )
    };
    let is_udp = match protocol.as_str() {
        "tcp" => false,
        "udp" => true,
        _ => return None,
    };
    let (first, last) = target.split_once('-').unwrap_or((&target, &target));
    let (first, last): (PortNumber, PortNumber) = (first.parse().ok()?, last.parse().ok()?);
    let numbers = first.get()..=last.get();
    let is_one = first == last;
    let entries = numbers.map(|number| PortEntry {
        number,
        is_udp,
        published: published
            .clone()
            .filter(|_| is_published)
            .map(|port| if is_one { port } else { number.to_string() }),
    });
    Some(entries.collect()).filter(|entries: &Vec<PortEntry>| !entries.is_empty())
}

fn write(converter: &mut Converter<'_>, ports: &[PortEntry]) {
    if ports.is_empty() {
        let is_needed = converter
            .shared
            .services
            .values()
            .any(|other| waits_for(other).contains(&converter.original.to_owned()));
        if is_needed && converter.part.left_out.is_none() {
            let what = "no port is known, and others depend on it";
            converter.tell(
                "ports",
                what,
                "write the ports the process listens on: `ports: [8080]`",
            );
        }
        return;
    }
    let items = ports.iter().map(|port| {
        if port.is_udp {
            let entry = |key: &str, value: String| (key.to_owned(), Value::of(value));
            Value::Map(vec![
                entry("name", format!("udp-{}", port.number)),
                entry("port", port.number.to_string()),
                entry("protocol", "UDP".to_owned()),
            ])
        } else {
            Value::of(port.number.to_string())
        }
    });
    converter.part.key("ports", Value::List(items.collect()));
}

/// Published ports: those that may speak HTTP get a host name.
fn expose(converter: &mut Converter<'_>, ports: &[PortEntry]) {
    let name = converter.name.clone();
    let published: Vec<&PortEntry> = ports
        .iter()
        .filter(|port| port.published.is_some())
        .collect();
    let (web, others): (Vec<_>, Vec<_>) = published
        .into_iter()
        .partition(|port| !port.is_udp && !NOT_WEB.contains(&port.number));
    let mut rules = Vec::new();
    for (index, port) in web.iter().enumerate() {
        let host = if index == 0 {
            format!("{name}.localhost")
        } else {
            format!("{name}-{}.localhost", port.number)
        };
        if let Some(before) = port
            .published
            .as_deref()
            .filter(|before| !before.is_empty())
        {
            converter.part.comment(format!(
                "was localhost:{before}, is http://{host}:8080 (the port is cluster.ports.http)"
            ));
        }
        let is_first = ports
            .first()
            .is_some_and(|first| first.number == port.number && !first.is_udp);
        let entries = [
            ("host", Some(host)),
            ("port", (!is_first).then(|| port.number.to_string())),
        ];
        let entries = entries
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), Value::of(value?))));
        rules.push(Value::Map(entries.collect()));
    }
    match rules.as_slice() {
        [] => {}
        [rule] if rule.entries().len() == 1 => {
            let host = rule.get("host").cloned().unwrap_or(Value::Null);
            converter.part.key("expose", host);
        }
        _ => converter.part.key("expose", Value::List(rules)),
    }
    for port in others {
        let kind = if port.is_udp { "/udp" } else { "" };
        let what = format!("{}{kind} is not published on this machine", port.number);
        let help = format!("services reach it as {name}:{}", port.number);
        converter.tell("ports", &what, &help);
    }
}

/// Other names under which compose lets a service be reached.
fn names(converter: &mut Converter<'_>) {
    for key in ["container_name", "hostname"] {
        if let Some(other) = converter.get(key).and_then(Value::text).map(str::to_owned)
            && other != converter.name
        {
            let help = format!("services reach it as `{}`", converter.name);
            converter.tell(key, &other, &help);
        }
    }
    if let Some(mode) = converter
        .get("network_mode")
        .and_then(Value::text)
        .map(str::to_owned)
        && mode != "bridge"
    {
        converter.tell(
            "network_mode",
            &mode,
            "services reach each other by name; nothing reaches this machine's network",
        );
    }
    let networks = converter.get("networks").cloned().unwrap_or(Value::Null);
    for (_, network) in networks.entries() {
        for alias in network.get("aliases").map(Value::items).unwrap_or_default() {
            let alias = alias.text().unwrap_or_default().to_owned();
            if alias != converter.name {
                let help = format!("services reach it as `{}`", converter.name);
                converter.tell("networks", &format!("the alias {alias}"), &help);
            }
        }
    }
}

/// What a service waits for, as compose names it.
fn waits_for(service: &Value) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let depends_on = service.get("depends_on").unwrap_or(&Value::Null);
    let keys = depends_on.entries().iter().map(|(name, _)| name.as_str());
    let links = service.get("links").map(Value::items).unwrap_or_default();
    let links = links
        .iter()
        .filter_map(Value::text)
        .map(|link| link.split(':').next().unwrap_or(link));
    for name in keys
        .chain(depends_on.items().iter().filter_map(Value::text))
        .chain(links)
    {
        if !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// `dependsOn`, without the services that run to an end.
pub(super) fn depends_on(converter: &mut Converter<'_>) {
    let links = converter.get("links").cloned().unwrap_or(Value::Null);
    for link in links.items().iter().filter_map(Value::text) {
        if let Some((name, alias)) = link.split_once(':').filter(|(name, alias)| name != alias) {
            converter.tell(
                "links",
                &format!("the alias {alias}"),
                &format!("it is reached as `{name}`"),
            );
        }
    }
    let mut names = Vec::new();
    for name in waits_for(&converter.compose) {
        match converter.shared.names.get(&name).cloned() {
            Some(known) if converter.shared.jobs.contains(&name) => {
                let help = format!(
                    "`devenv exec {known}` runs it; this service must bear to start before"
                );
                converter.tell("depends_on", &format!("{known} is a task"), &help);
            }
            Some(known) => names.push(known),
            None => converter.tell(
                "depends_on",
                &format!("there is no service {name}"),
                "remove it",
            ),
        }
    }
    if !names.is_empty() {
        converter.part.key("dependsOn", Value::list(names));
    }
}
