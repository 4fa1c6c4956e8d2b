//! Which object store does a URL mean, and may a lake be in it?
//!
//! Stores are told apart by the URL's scheme, and opened with the settings that their own tools read from the
//! environment: `AWS_…`, `GOOGLE_…`, `AZURE_…`. For S3 the shared files of profiles come after the environment, and
//! then the machine's or the container's role, as in Amazon's tools.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreScheme};
use url::Url;

/// Where a profile says that its keys come from, when it does not hold them.
const KEYS_FROM: [&str; 5] =
    ["sso_session", "sso_start_url", "role_arn", "credential_process", "web_identity_token_file"];

/// Opens the store that `url` means, and tells the path in it.
///
/// `env` is the environment. Nothing is asked of the store yet.
///
/// # Errors
/// In words, if the URL or a setting is not one that the store knows.
pub fn connect(url: &Url, env: &BTreeMap<String, String>) -> Result<(Arc<dyn ObjectStore>, Path), String> {
    let told = |error: object_store::Error| error.to_string();
    let known = |key: &str| ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| key.starts_with(prefix));
    let set = env.iter().filter(|(key, value)| known(key) && !value.is_empty());
    let mut settings: HashMap<String, String> =
        set.map(|(key, value)| (key.to_lowercase(), value.clone())).collect();
    if url.scheme() == "http" {
        settings.insert("allow_http".into(), "true".into());
    }
    let (scheme, _) = ObjectStoreScheme::parse(url).map_err(|error| error.to_string())?;
    if scheme == ObjectStoreScheme::AmazonS3 {
        for (key, value) in profile(env)? {
            settings.entry(key).or_insert(value);
        }
        let plain = |key: &str| settings.get(key).is_some_and(|endpoint| endpoint.starts_with("http://"));
        if ["aws_endpoint_url", "aws_endpoint_url_s3", "aws_endpoint"].into_iter().any(plain) {
            settings.entry("aws_allow_http".into()).or_insert_with(|| "true".into());
        }
    }
    let (store, path) = object_store::parse_url_opts(url, settings).map_err(told)?;
    Ok((Arc::from(store), path))
}

/// What the shared files of Amazon's tools say of the profile that is asked for; nothing if the environment has keys.
///
/// Format: the AWS SDKs and Tools Reference Guide, *Shared config and credentials files*.
fn profile(env: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, String> {
    let name = env.get("AWS_PROFILE").filter(|name| !name.is_empty());
    let has_keys = env.get("AWS_ACCESS_KEY_ID").is_some_and(|key| !key.is_empty());
    if has_keys && name.is_none() {
        return Ok(Vec::new());
    }
    let home = env.get("HOME").or_else(|| env.get("USERPROFILE")).map(PathBuf::from).unwrap_or_default();
    let file = |variable: &str, default: &str| {
        let path = env.get(variable).map_or_else(|| home.join(".aws").join(default), PathBuf::from);
        std::fs::read_to_string(path).unwrap_or_default()
    };
    let wanted = name.map_or("default", String::as_str);
    let mut said = section(&file("AWS_CONFIG_FILE", "config"), wanted);
    said.extend(section(&file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), wanted));
    if let (Some(name), true) = (name, said.is_empty()) {
        return Err(format!(
            "AWS_PROFILE is `{name}`, and neither ~/.aws/config nor ~/.aws/credentials has it"
        ));
    }
    if !has_keys
        && !said.contains_key("aws_access_key_id")
        && let Some(from) = KEYS_FROM.iter().find(|key| said.contains_key(**key))
    {
        return Err(format!(
            "the profile `{wanted}` gets its keys by `{from}`, which elt does not follow; set them by \
             `eval \"$(aws configure export-credentials --profile {wanted} --format env)\"`"
        ));
    }
    let known = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region", "endpoint_url"];
    let known = said.into_iter().filter(|(key, _)| known.contains(&key.as_str()));
    let full = |key: String| if key.starts_with("aws_") { key } else { format!("aws_{key}") };
    Ok(known.map(|(key, value)| (full(key), value)).collect())
}

/// The settings under `[name]` or `[profile name]`. Nested settings (indented) are not of interest here.
fn section(text: &str, name: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut inside = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(heading) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let heading = heading.trim();
            inside = heading.strip_prefix("profile ").map_or(heading, str::trim) == name;
        } else if inside
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((key, value)) = trimmed.split_once('=')
        {
            found.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn keys_come_from_the_environment_then_from_the_profile() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        std::fs::write(
            folder.path().join(".aws/config"),
            "[default]\nregion = eu-central-1\ns3 =\n  max_queue_size = 1\n[profile ci]\nregion=eu-west-1\n\
             endpoint_url = http://127.0.0.1:9\n[profile away]\nsso_session = office\n",
        )
        .unwrap();
        std::fs::write(
            folder.path().join(".aws/credentials"),
            "[default]\naws_access_key_id = one\naws_secret_access_key = two\n# [ci]\n[ci]\n\
             aws_access_key_id = three\naws_secret_access_key = four==\n",
        )
        .unwrap();
        let sorted = |pairs: &[(&str, &str)]| {
            profile(&env(pairs)).map(|mut said| {
                said.sort();
                said.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
            })
        };

        assert_eq!(
            sorted(&[("HOME", home)]).unwrap(),
            "aws_access_key_id=one aws_region=eu-central-1 aws_secret_access_key=two"
        );
        assert_eq!(
            sorted(&[("HOME", home), ("AWS_PROFILE", "ci")]).unwrap(),
            "aws_access_key_id=three aws_endpoint_url=http://127.0.0.1:9 aws_region=eu-west-1 \
             aws_secret_access_key=four=="
        );
        assert_eq!(sorted(&[("HOME", home), ("AWS_ACCESS_KEY_ID", "mine")]).unwrap(), "");
        let away = sorted(&[("HOME", home), ("AWS_PROFILE", "away")]).unwrap_err();
        assert!(away.contains("`sso_session`") && away.contains("--profile away"), "{away}");
        let none = sorted(&[("HOME", home), ("AWS_PROFILE", "nobody")]).unwrap_err();
        assert!(none.contains("`nobody`"), "{none}");
    }

    #[test]
    fn a_url_is_a_store_and_a_path_in_it() {
        for (url, wanted) in [
            ("s3://sales/lakes/one", "lakes/one"),
            ("s3a://sales", ""),
            ("gs://sales/lake", "lake"),
            ("abfss://sales@account.dfs.core.windows.net/lake", "lake"),
            ("az://sales/lake", "lake"),
        ] {
            let set = env(&[("AZURE_STORAGE_ACCOUNT_NAME", "account"), ("AWS_REGION", "eu-west-1")]);
            let (_, path) = connect(&Url::parse(url).unwrap(), &set).unwrap();
            assert_eq!(path.as_ref(), wanted, "{url}");
        }
        assert!(connect(&Url::parse("ftp://sales/lake").unwrap(), &env(&[])).is_err());
    }
}
