//! Names that refer to services: do they exist, do they go in circles.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use crate::{
    domain::ServiceName,
    manifest::problem::{Mending, Problem, nearest_alone, suggestions},
};

/// What can be wrong with a name that refers to a service.
#[derive(Debug, thiserror::Error)]
enum ReferenceProblem {
    #[error("`{path}` names a service that does not exist: `{name}`")]
    UnknownService {
        path: String,
        name: String,
        known: Vec<String>,
    },
    #[error("services depend on each other in a circle: {}", circle.join(" -> "))]
    Cycle { circle: Vec<String> },
    #[error("`{name}` is the name of a service and of a task")]
    NameTaken { name: String },
}

impl Problem for ReferenceProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownService { .. } => "manifest.unknown-service",
            Self::Cycle { .. } => "manifest.dependency-cycle",
            Self::NameTaken { .. } => "manifest.name-taken",
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::UnknownService { name, known, .. } => {
                suggestions(name, known.iter().map(String::as_str), "services")
            }
            Self::Cycle { .. } => vec![
                "remove one of these from a `dependsOn`; a service that retries its connections needs none".to_owned(),
            ],
            Self::NameTaken { .. } => {
                vec!["rename one: `devenv exec` takes both kinds of names".to_owned()]
            }
        }
    }

    fn mend(&self) -> Option<Mending> {
        let Self::UnknownService { name, known, .. } = self else {
            return None;
        };
        let word = nearest_alone(name, known.iter().map(String::as_str))?;
        Some(Mending::Replace(word.to_owned()))
    }
}

impl Checker<'_> {
    /// Checks every name that refers to a service.
    pub(super) fn references(&mut self) {
        let keys = self.keys;
        for (name, service) in &keys.services {
            self.depends_on(&service.depends_on, &format!("services.{name}"));
        }
        for (name, task) in &keys.tasks {
            self.depends_on(&task.depends_on, &format!("tasks.{name}"));
        }
        let hooks = [
            ("afterUp", &keys.hooks.after_up),
            ("beforeDown", &keys.hooks.before_down),
        ];
        for (point, hooks) in hooks {
            for (index, hook) in hooks.iter().enumerate() {
                if let Some(service) = &hook.service {
                    self.known(service, &format!("hooks.{point}[{index}].service"));
                }
            }
        }
        self.only();
        let both: Vec<String> = self.services.intersection(&self.tasks).cloned().collect();
        for name in both {
            let path = format!("tasks.{name}");
            self.report(&ReferenceProblem::NameTaken { name }, &path);
        }
        self.cycles();
    }

    fn depends_on(&mut self, names: &[ServiceName], owner: &str) {
        let list = format!("{owner}.dependsOn");
        for (path, name) in self.placed(names, &list) {
            self.known(name, &path);
        }
    }

    fn unknown(&self, name: &ServiceName, path: &str) -> Option<ReferenceProblem> {
        // The word above all services may be misspelt.
        let are_known = !self.damaged.holds("services");
        let is_missing = are_known && !self.services.contains(name.as_str());
        is_missing.then(|| ReferenceProblem::UnknownService {
            path: path.to_owned(),
            name: name.to_string(),
            known: self.services.iter().cloned().collect(),
        })
    }

    fn known(&mut self, name: &ServiceName, path: &str) {
        if self.findings.is_full() {
            return;
        }
        if let Some(problem) = self.unknown(name, path) {
            self.report(&problem, path);
        }
    }

    fn only(&mut self) {
        let Some(only) = self.only else { return };
        for (name, origin) in only {
            if let Some(problem) = self.unknown(name, "only") {
                self.findings.add(&problem, "only", *origin);
            }
        }
    }

    fn cycles(&mut self) {
        let keys = self.keys;
        let edges: BTreeMap<&str, Vec<&str>> = keys
            .services
            .iter()
            .map(|(name, service)| {
                // One that could not be read depends on nobody that is known.
                let names = service.depends_on.iter();
                let names = names.filter(|name| keys.services.contains_key(*name));
                (name.as_str(), names.map(ServiceName::as_str).collect())
            })
            .collect();
        let mut circles = Vec::new();
        for group in strongly_connected(&edges) {
            let Some(first) = group.iter().min().copied() else {
                continue;
            };
            // Most groups are one service alone: looking for a circle from each would take n x n steps.
            if group.len() > 1 || edges[first].contains(&first) {
                circles.extend(shortest_circle(first, &edges));
            }
        }
        for circle in circles {
            let from = circle[0];
            let at = edges[from].iter().position(|name| *name == circle[1]);
            let path = format!("services.{from}.dependsOn[{}]", at.unwrap_or_default());
            let circle = circle.iter().map(|name| (*name).to_owned()).collect();
            self.report(&ReferenceProblem::Cycle { circle }, &path);
        }
    }
}

/// The shortest way from `start` back to itself, both ends included.
fn shortest_circle<'a>(
    start: &'a str,
    edges: &BTreeMap<&'a str, Vec<&'a str>>,
) -> Option<Vec<&'a str>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open = std::collections::VecDeque::from([start]);
    while let Some(node) = open.pop_front() {
        for next in edges.get(node)? {
            if *next == start {
                let mut circle = vec![start];
                let mut at = node;
                while at != start {
                    circle.push(at);
                    at = came_from[at];
                }
                circle.push(start);
                circle.reverse();
                return Some(circle);
            }
            if *next != start && edges.contains_key(next) && !came_from.contains_key(next) {
                came_from.insert(next, node);
                open.push_back(next);
            }
        }
    }
    None
}

/// Groups of nodes that reach each other, by Kosaraju's two walks, without recursion.
fn strongly_connected<'a>(edges: &BTreeMap<&'a str, Vec<&'a str>>) -> Vec<Vec<&'a str>> {
    let mut back: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, targets) in edges {
        for to in targets {
            back.entry(to).or_default().push(from);
        }
    }
    let mut seen = BTreeSet::new();
    let mut order = Vec::new();
    for node in edges.keys() {
        order.extend(walk(node, edges, &mut seen));
    }
    let mut seen = BTreeSet::new();
    let groups = order
        .into_iter()
        .rev()
        .map(|node| walk(node, &back, &mut seen));
    let groups = groups.filter(|group| !group.is_empty());
    groups.collect()
}

/// Unseen nodes reached from `start`, in the order in which they are left.
fn walk<'a>(
    start: &'a str,
    edges: &BTreeMap<&'a str, Vec<&'a str>>,
    seen: &mut BTreeSet<&'a str>,
) -> Vec<&'a str> {
    let mut left = Vec::new();
    if !seen.insert(start) {
        return left;
    }
    let mut stack = vec![(start, 0)];
    while let Some((node, at)) = stack.pop() {
        match edges.get(node).and_then(|targets| targets.get(at)) {
            Some(next) => {
                stack.push((node, at + 1));
                if seen.insert(next) {
                    stack.push((next, 0));
                }
            }
            None => left.push(node),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_is_found_once_and_its_shortest_circle_is_shown() {
        let edges = BTreeMap::from([
            ("a", vec!["b", "c"]),
            ("b", vec!["c"]),
            ("c", vec!["a"]),
            ("d", vec!["a"]),
            ("e", vec!["e"]),
        ]);
        let mut circles: Vec<_> = strongly_connected(&edges)
            .into_iter()
            .filter_map(|group| shortest_circle(group.iter().min()?, &edges))
            .collect();
        circles.sort_unstable();
        assert_eq!(circles, [vec!["a", "c", "a"], vec!["e", "e"]]);
    }
}
