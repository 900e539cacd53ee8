//! Images that are there, and that the cluster cannot have or run.

use std::time::Duration;

use serde_json::{Value, json};

use super::scene::Scene;
use crate::program::BASE;

const LIST: &str = "application/vnd.oci.image.index.v1+json";
/// A program for a processor of ARM: no more of it than its header.
const FOREIGN: &str = r"RUN printf '\177ELF\002\001\001\0\0\0\0\0\0\0\0\0\002\0\267\0\001\0\0\0' > /server && chmod 755 /server";
/// A registry that knows nobody, on a port of the node's own, and gives of one image something else than was asked for.
const ITS_REGISTRY: &str = r#"my $listener = IO::Socket::INET->new(LocalPort => 5999, Listen => 9) or die $!;
my $else = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}';
while (my $client = $listener->accept) {
    my $asked = <$client>;
    while (<$client>) { last if /^\r?$/ }
    my ($status, $header, $body) = ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"e2e\"", "");
    ($status, $header, $body) = ("200 OK", "Content-Type: application/vnd.oci.image.index.v1+json", $else) if $asked =~ /false/;
    my $length = length $body;
    $body = "" if $asked =~ /^HEAD/;
    print $client "HTTP/1.1 $status\r\n$header\r\nContent-Length: $length\r\nConnection: close\r\n\r\n$body";
    close $client;
}
"#;

pub(super) fn an_image_that_cannot_be_had_or_run_is_told_with_its_reason(scene: &Scene) {
    let before = scene.read("devenv.yaml");
    let image = scene.image_of("healthy");
    let (name, tag) = image.rsplit_once(':').unwrap();
    let (_, repository) = name.split_once('/').unwrap();
    for_other_processors_only(scene, repository, tag);
    let _registry = Registry::of(scene);
    scene.write("foreign/Dockerfile", &format!("FROM {BASE}\n{FOREIGN}\n"));
    let nothing = "0".repeat(64);
    scene.write(
        "devenv.yaml",
        &format!(
            "{before}  digest: {{ image: \"{name}@sha256:{nothing}\" }}\n\
             \x20 elsewhere: {{ image: \"{name}:elsewhere\" }}\n\
             \x20 foreign: {{ build: foreign, command: [/server] }}\n\
             \x20 private: {{ image: \"127.0.0.1:5999/some/app:1\" }}\n\
             \x20 replaced: {{ image: \"127.0.0.1:5999/false/app@sha256:{nothing}\" }}\n"
        ),
    );
    let up = scene.devenv(&["up"]).assert_code(6);
    up.assert_within(Duration::from_mins(1)).assert_says(&[
        "error[service.image-unavailable]: the image of digest cannot be had",
        &format!("{nothing}: not found"),
        "error[service.image-unavailable]: the image of elsewhere cannot be had",
        "there is none of it for linux/",
        "error[service.cannot-start]: the command of foreign cannot be run",
        "it is a program for another processor",
        "error[service.image-unavailable]: the image of private cannot be had",
        "its registry wants a login",
        "create secret docker-registry login --docker-server=127.0.0.1:5999",
        "error[service.image-unavailable]: the image of replaced cannot be had",
        "its registry, or what stands before it, gives something else under this digest",
    ]);
    scene.assert_serves("healthy", "alive");
    scene.write("devenv.yaml", &before);
    scene.devenv(&["up"]).assert_code(0);
}

/// Adds a tag to the registry under which an image is to be had for another processor alone.
fn for_other_processors_only(scene: &Scene, repository: &str, tag: &str) {
    let url = |tag: &str| {
        let port = scene.ports.registry;
        format!("http://127.0.0.1:{port}/v2/{repository}/manifests/{tag}")
    };
    let either = "Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
    let words = ["-sS", "--fail", "-H", either, &url(tag)];
    let manifest = scene.run("curl", &words).assert_code(0).stdout.clone();
    let digest = ["-c", "printf %s \"$0\" | sha256sum", &manifest];
    let digest = scene.run("sh", &digest).assert_code(0).stdout.clone();
    let kind = serde_json::from_str::<Value>(&manifest).unwrap()["mediaType"].clone();
    let list = json!({
        "schemaVersion": 2,
        "mediaType": LIST,
        "manifests": [{
            "mediaType": kind,
            "size": manifest.len(),
            "digest": format!("sha256:{}", &digest[..64]),
            "platform": { "architecture": "s390x", "os": "linux" },
        }],
    });
    let (list, kind) = (list.to_string(), format!("Content-Type: {LIST}"));
    let url = url("elsewhere");
    let words = ["-sS", "--fail", "-X", "PUT", "-H", &kind, "-d", &list, &url];
    scene.run("curl", &words).assert_code(0);
}

/// A registry that the node takes for one of its own machine.
struct Registry<'a> {
    scene: &'a Scene,
    name: String,
}

impl<'a> Registry<'a> {
    fn of(scene: &'a Scene) -> Self {
        let cluster = scene.cluster_name();
        let network = format!("container:k3d-{cluster}-server-0");
        let name = format!("{cluster}-its-registry");
        let registry = Self { scene, name };
        let start = [
            "run",
            "--detach",
            "--name",
            &registry.name,
            "--network",
            &network,
            BASE,
        ];
        let serve = ["perl", "-MIO::Socket::INET", "-e", ITS_REGISTRY];
        let started = scene.run("docker", &[&start[..], &serve].concat());
        started.assert_code(0);
        registry
    }
}

impl Drop for Registry<'_> {
    fn drop(&mut self) {
        let words = ["rm", "--force", "--volumes", &self.name];
        self.scene.quietly("docker", &words);
    }
}
