//! What the manifest itself breaks.

use super::{ComputeResource, Policy, Rule, Violation};
use crate::domain::{
    Chart, ChartOrigin, Environment, ImageName, Resources, Service, ServiceName, Source, Workload,
};

impl Policy {
    /// What an environment breaks, by the keys of its manifest.
    pub fn broken_by(&self, environment: &Environment) -> Vec<Violation> {
        let mut found = Vec::new();
        let version = &environment.cluster.kubernetes;
        let is_allowed = |wanted: &semver::VersionReq| {
            let parts = version.split('.').count();
            let full = format!("{version}{}", ".0".repeat(3_usize.saturating_sub(parts)));
            full.parse().is_ok_and(|version| wanted.matches(&version))
        };
        if let Some(wanted) = &self.kubernetes
            && !is_allowed(wanted)
        {
            found.push(Violation {
                rule: Rule::Kubernetes,
                service: None,
                key: "cluster.kubernetes".to_owned(),
                what: format!("Kubernetes {version} is not among the allowed versions, {wanted}"),
                mend: "devenv config set cluster.kubernetes=VERSION".to_owned(),
            });
        }
        for service in environment.services.values() {
            found.extend(self.broken_by_service(service));
        }
        self.without_exceptions(found)
    }

    fn broken_by_service(&self, service: &Service) -> Vec<Violation> {
        let name = &service.name;
        match &service.source {
            Source::Workload(workload) => self.broken_by_workload(name, workload),
            Source::Chart(chart) => self.broken_by_chart(name, chart),
            // Its objects are judged when they are known.
            Source::Manifests(_) => Vec::new(),
        }
    }

    fn broken_by_workload(&self, name: &ServiceName, workload: &Workload) -> Vec<Violation> {
        let violation = |rule, key: &str, what: String, mend: String| Violation {
            rule,
            service: Some(name.clone()),
            key: format!("services.{name}{key}"),
            what: format!("{name}: {what}"),
            mend,
        };
        let mut found = Vec::new();
        if let ImageName::Reference(reference) = &workload.image {
            let broken = self.judge_image(reference).into_iter();
            found.extend(broken.map(|(rule, what, mend)| violation(rule, ".image", what, mend)));
        }
        let resources = &workload.resources;
        for (rule, word, wanted) in [
            (Rule::Limits, "limits", &self.limits),
            (Rule::Requests, "requests", &self.requests),
        ] {
            for resource in wanted {
                if !has(resources, rule, *resource) {
                    let name_of = resource.name();
                    let key = format!(".resources.{word}.{name_of}");
                    let set = format!("devenv config set services.{name}{key}=...");
                    let what = format!("there is no `resources.{word}.{name_of}`");
                    found.push(violation(rule, &key, what, set));
                }
            }
        }
        for label in &self.labels {
            if !workload.labels.contains_key(label) {
                let what = format!("the label `{label}` is missing");
                let mend = format!("write it under services.{name}.labels in devenv.yaml");
                found.push(violation(Rule::Labels, ".labels", what, mend));
            }
        }
        found
    }

    fn broken_by_chart(&self, name: &ServiceName, chart: &Chart) -> Vec<Violation> {
        let ChartOrigin::Repository { repo, version, .. } = &chart.origin else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let is_from = |from: &String| repo.trim_end_matches('/') == from.trim_end_matches('/');
        if !self.repositories.is_empty() && !self.repositories.iter().any(is_from) {
            found.push(Violation {
                rule: Rule::ChartRepositories,
                service: Some(name.clone()),
                key: format!("services.{name}.chart.repo"),
                what: format!("{name}: the chart comes from `{repo}`, which is not allowed"),
                mend: format!("take it from one of: {}", self.repositories.join(", ")),
            });
        }
        let is_exact = semver::Version::parse(version.trim_start_matches('v')).is_ok();
        if self.pinned_charts && !is_exact {
            found.push(Violation {
                rule: Rule::ChartPinned,
                service: Some(name.clone()),
                key: format!("services.{name}.chart"),
                what: format!("{name}: the chart has no exact version"),
                mend: format!("devenv config set services.{name}.chart.version=1.2.3"),
            });
        }
        found
    }
}

const fn has(resources: &Resources, rule: Rule, resource: ComputeResource) -> bool {
    match (rule, resource) {
        (Rule::Limits, ComputeResource::Cpu) => resources.limit_cpu.is_some(),
        (Rule::Limits, ComputeResource::Memory) => resources.limit_memory.is_some(),
        (_, ComputeResource::Cpu) => resources.request_cpu.is_some(),
        (_, ComputeResource::Memory) => resources.request_memory.is_some(),
    }
}
