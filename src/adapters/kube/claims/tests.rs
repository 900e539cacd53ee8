use serde_json::{Value, json};

use super::{super::fake::FakeApi, *};

fn service() -> ServiceName {
    "search".parse().unwrap()
}

fn claim(name: &str) -> Claim {
    Claim {
        name: name.parse().unwrap(),
        size: "1Gi".parse().unwrap(),
        modes: vec![AccessMode::ReadWriteOnce],
    }
}

fn names(claims: &Claims) -> Vec<&str> {
    claims.keepable.iter().map(|it| it.name.as_str()).collect()
}

/// A claim of a chart; `more` goes into its specification.
fn document(name: &str, more: &str) -> String {
    format!(
        "---\n# Source: search/templates/claim.yaml\nkind: PersistentVolumeClaim\n\
         metadata: {{ name: {name} }}\nspec:\n  accessModes: [ReadWriteMany]\n\
         \x20 resources: {{ requests: {{ storage: 64Mi }} }}\n{more}\n"
    )
}

#[test]
fn claims_are_those_of_a_chart_and_of_every_pod_of_its_sets() {
    let set = "---\nkind: StatefulSet\nmetadata: { name: search, namespace: default }\nspec:\n\
               \x20 replicas: 2\n  ordinals: { start: 3 }\n  volumeClaimTemplates:\n\
               \x20 - metadata: { name: data }\n    spec: { resources: { requests: { storage: 1000 } } }\n";
    let alone = set
        .replace("  replicas: 2\n  ordinals: { start: 3 }\n", "")
        .replace("search", "alone");
    let rendered = format!("{}{set}{alone}", document("shared", ""));
    let claims = claims_in(&rendered, "default").unwrap();
    assert_eq!(
        names(&claims),
        ["shared", "data-search-3", "data-search-4", "data-alone-0"]
    );
    let shared = &claims.keepable[0];
    assert_eq!(shared.size, "64Mi".parse().unwrap());
    assert_eq!(shared.modes, [AccessMode::ReadWriteMany]);
    assert_eq!(claims.keepable[1].size.bytes(), 1000);
    assert!(claims.others.is_empty());
}

#[test]
fn who_says_where_the_data_is_has_it_there() {
    for theirs in [
        "  storageClassName: local-path",
        "  storageClassName: ''",
        "  volumeName: mine",
        "  volumeMode: Block",
        "  selector: { matchLabels: { a: b } }",
    ] {
        let claims = claims_in(&document("shared", theirs), "default").unwrap();
        assert_eq!(claims, Claims::default(), "{theirs}");
    }
    let rendered = document("shared", "  volumeMode: Filesystem");
    assert_eq!(names(&claims_in(&rendered, "default").unwrap()), ["shared"]);
    let elsewhere = rendered.replace("name: shared", "name: shared, namespace: other");
    assert_eq!(claims_in(&elsewhere, "default").unwrap(), Claims::default());
}

#[test]
fn what_cannot_be_kept_is_told_with_the_reason() {
    let rendered = format!(
        "{}{}",
        document("a.dot", ""),
        document("vast", "").replace("64Mi", "1Zi")
    );
    let claims = claims_in(&rendered, "default").unwrap();
    assert_eq!(names(&claims), Vec::<&str>::new());
    let [dot, vast] = &claims.others[..] else {
        panic!("{:?}", claims.others);
    };
    assert!(dot.starts_with("a.dot: only lower-case"), "{dot}");
    assert!(vast.starts_with("vast: `1Zi` is not"), "{vast}");
}

#[test]
fn only_what_claims_something_has_to_be_understood() {
    let strange = "---\nkind: ConfigMap\ndata: { a: !!strange [ }\n";
    let list = json!({ "kind": "List", "items": [
        { "kind": "PersistentVolumeClaim", "metadata": { "name": "of-a-list" },
          "spec": { "resources": { "requests": { "storage": "1Gi" } } } },
        { "kind": "Service" },
    ] });
    let claims = claims_in(&format!("{strange}---\n{list}\n"), "default").unwrap();
    assert_eq!(names(&claims), ["of-a-list"]);
    let broken = document("shared", "  accessModes: [Whatever]");
    assert!(claims_in(&broken, "default").is_err());
}

fn bound(name: &str, volume: Option<&str>) -> Value {
    json!({
        "metadata": { "name": name, "uid": "now" },
        "spec": { "volumeName": volume },
    })
}

/// What the API answers to the change of a volume that is held for the claim of a uid.
fn held_for(uid: Option<&str>) -> Value {
    json!({ "metadata": { "name": "devenv-data" }, "spec": { "claimRef": { "uid": uid } } })
}

async fn reserved(api: &FakeApi) -> Vec<Value> {
    let root = Path::new("/volumes");
    let claims = [claim("data")];
    let reserved = api.cluster().reserve(&service(), &claims, root).await;
    reserved.unwrap();
    let asked = api.asked();
    let patches = asked.iter().filter(|asked| asked.method == "PATCH");
    patches
        .map(|asked| serde_json::from_slice(&asked.body).unwrap())
        .collect()
}

#[tokio::test]
async fn a_claim_gets_the_directory_of_its_name_and_no_other_claim_does() {
    let api = FakeApi::new().answer("/persistentvolumes/devenv-data", 200, held_for(None));
    let patches = reserved(&api).await;
    let [volume] = &patches[..] else {
        panic!("{patches:?}");
    };
    let spec = &volume["spec"];
    assert_eq!(spec["hostPath"]["path"], "/volumes/search/data");
    assert_eq!(spec["claimRef"]["name"], "data");
    assert_eq!(spec["claimRef"]["namespace"], "default");
    assert_eq!(spec["persistentVolumeReclaimPolicy"], "Retain");
    assert_eq!(volume["metadata"]["labels"][SERVICE], "search");
}

#[tokio::test]
async fn a_volume_of_a_claim_that_is_gone_is_free_for_the_next_of_its_name() {
    let answers =
        |uid| FakeApi::new().answer("/persistentvolumes/devenv-data", 200, held_for(Some(uid)));
    let there = [bound("data", Some("devenv-data"))];
    let api = answers("now").list("persistentvolumeclaims", there.clone());
    assert_eq!(reserved(&api).await.len(), 1);
    for api in [
        answers("before").list("persistentvolumeclaims", there),
        answers("before"),
    ] {
        let patches = reserved(&api).await;
        let freed = &patches[1]["spec"]["claimRef"];
        assert_eq!(*freed, json!({ "uid": null, "resourceVersion": null }));
    }
}

#[tokio::test]
async fn claims_that_have_another_volume_are_known() {
    let api = FakeApi::new().list(
        "persistentvolumeclaims",
        [
            bound("data", Some("devenv-data")),
            bound("new", None),
            bound("old", Some("pvc-123")),
        ],
    );
    let cluster = api.cluster();
    assert_eq!(cluster.other_claims().await.unwrap(), ["old"]);
    let claims = ["data", "new", "old", "absent"].map(claim);
    let elsewhere = cluster.bound_elsewhere(&claims).await.unwrap();
    assert_eq!(elsewhere, ["old".parse().unwrap()]);
}

#[tokio::test]
async fn a_volume_that_nobody_claims_any_more_is_none_of_the_services() {
    let volume = |name: &str, phase: &str| {
        json!({
            "metadata": { "name": format!("devenv-{name}"), "labels": { SERVICE: "search" } },
            "spec": { "claimRef": { "name": name } },
            "status": { "phase": phase },
        })
    };
    let volumes = [("b", "Bound"), ("gone", "Released"), ("a", "Available")];
    let volumes = volumes.map(|(name, phase)| volume(name, phase));
    let api = FakeApi::new().list("persistentvolumes", volumes);
    let kept = api.cluster().kept_claims().await.unwrap();
    let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
    assert_eq!(kept, ["search/a", "search/b"]);
}

#[tokio::test]
async fn more_pods_of_a_set_claim_more() {
    let set = |name: &str, service: &str| {
        json!({
            "metadata": { "name": name, "annotations": { "meta.helm.sh/release-name": service } },
            "spec": {
                "replicas": 1, "serviceName": name, "selector": {}, "template": {},
                "volumeClaimTemplates": [{
                    "metadata": { "name": "data" },
                    "spec": { "resources": { "requests": { "storage": "1Gi" } } },
                }],
            },
        })
    };
    let sets = [set("search", "search"), set("cart", "cart")];
    let api = FakeApi::new().list("statefulsets", sets);
    let claims = api.cluster().claims_of_sets(&service(), 3).await.unwrap();
    assert_eq!(
        names(&claims),
        ["data-search-0", "data-search-1", "data-search-2"]
    );
}
