//! Which files is the site, and what is in them?
//!
//! `index.html` is the whole page: markup, styles and scripts are put into it, since a browser that opens a page from disk
//! lets it read no module and no data beside it, but scripts. So the data are scripts, too: `docs/data.js` has everything
//! but SQL and is read with the page; `docs/code_N.js` have that, and are read when it is looked at. `static_index.html` has
//! all of it in itself.

use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::Lakehouse;
use super::pages::{Made, Pages};
use crate::build::FOLDER_MARK;

/// The folder of the data, beside the page.
pub const DOCS: &str = "docs";
/// The pages and the artifacts that a server of the site gives away, besides [`DOCS`].
pub const SITE_FILES: [&str; 8] = [
    INDEX,
    STATIC,
    "manifest.json",
    "catalog.json",
    "run_results.json",
    "sources.json",
    "semantic_manifest.json",
    "graph_summary.json",
];

const INDEX: &str = "index.html";
const STATIC: &str = "static_index.html";
/// What the names of variables begin with that are secrets, which is dbt's word.
const SECRET: &str = "DBT_ENV_SECRET";
/// A secret that is shorter would take away parts of words.
const SHORTEST: usize = 4;

const PAGE: &str = include_str!("site/index.html");

const STYLES: [&str; 5] = [
    include_str!("site/vendor/uPlot.min.css"),
    include_str!("site/colors.css"),
    include_str!("site/frame.css"),
    include_str!("site/content.css"),
    include_str!("site/lineage.css"),
];

/// In this order: a script may use what stands before it.
const SCRIPTS: [&str; 26] = [
    include_str!("site/vendor/preact.min.umd.js"),
    include_str!("site/vendor/preact-hooks.umd.js"),
    include_str!("site/vendor/htm.umd.js"),
    include_str!("site/vendor/minisearch.min.js"),
    include_str!("site/vendor/marked.umd.js"),
    include_str!("site/vendor/purify.min.js"),
    include_str!("site/vendor/uPlot.iife.min.js"),
    include_str!("site/vendor/prism-core.min.js"),
    include_str!("site/vendor/prism-sql.min.js"),
    include_str!("site/vendor/dagre.min.js"),
    include_str!("site/data.js"),
    include_str!("site/words.js"),
    include_str!("site/route.js"),
    include_str!("site/parts.js"),
    include_str!("site/code.js"),
    include_str!("site/charts.js"),
    include_str!("site/search.js"),
    include_str!("site/tree.js"),
    include_str!("site/layout.js"),
    include_str!("site/draw.js"),
    include_str!("site/point.js"),
    include_str!("site/lineage.js"),
    include_str!("site/node.js"),
    include_str!("site/runs.js"),
    include_str!("site/home.js"),
    include_str!("site/app.js"),
];

/// Writes the site below the target path, and says which pages.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if the folder of the data is there and not made here; what the disk says.
pub(super) fn write(
    target: &Path,
    pages: &Pages<'_>,
    secrets: &[String],
    is_static: bool,
) -> io::Result<Vec<PathBuf>> {
    let Made { document, pieces } = pages.made();
    let folder = target.join(DOCS);
    if folder.exists() && !folder.join(FOLDER_MARK).exists() {
        let what = format!("{} was not made by elt", folder.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(FOLDER_MARK), "")?;
    let document = safe(&document, secrets);
    let pieces: Vec<String> = pieces.into_iter().map(|piece| safe(&Value::Object(piece), secrets)).collect();
    fs::write(folder.join("data.js"), format!("window.elt_docs = {document};\n"))?;
    for (at, piece) in pieces.iter().enumerate() {
        fs::write(folder.join(format!("code_{at}.js")), format!("window.elt_code({at}, {piece});\n"))?;
    }
    // A browser that has seen an earlier one asks for this one's data.
    let mark = pages.stamp.at.timestamp_millis();
    let read = format!("<script src=\"{DOCS}/data.js?{mark}\"></script>");
    let mut written = vec![target.join(INDEX)];
    page(&written[0], &[&read])?;
    if is_static {
        let code = pieces.iter().enumerate();
        let code = code.map(|(at, piece)| {
            format!("<script type=\"application/json\" data-code=\"{at}\">{piece}</script>\n")
        });
        let data = format!("<script>window.elt_docs = {document};</script>\n");
        let all: Vec<String> = std::iter::once(data).chain(code).collect();
        written.push(target.join(STATIC));
        page(&written[1], &all.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    Ok(written)
}

/// Writes the page with its data, or with what reads them.
fn page(path: &Path, data: &[&str]) -> io::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    let (head, rest) = PAGE.split_once("<!-- styles -->").expect("the page has a place for styles");
    let (body, end) = rest.split_once("<!-- scripts -->").expect("and one for scripts");
    write!(file, "{head}")?;
    for style in STYLES {
        writeln!(file, "<style>\n{style}</style>")?;
    }
    write!(file, "{body}")?;
    for data in data {
        writeln!(file, "{data}")?;
    }
    for script in SCRIPTS {
        writeln!(file, "<script>\n{script}</script>")?;
    }
    write!(file, "{end}")?;
    file.flush()
}

/// JSON that can stand in a script of a page, without the values of secrets.
fn safe(value: &Value, secrets: &[String]) -> String {
    let mut text = serde_json::to_string(value).expect("a document is plain data");
    for secret in secrets {
        let quoted = Value::from(secret.as_str()).to_string();
        text = text.replace(&quoted[1..quoted.len() - 1], "*****");
    }
    // In JSON these three stand in texts alone.
    text.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

impl Lakehouse {
    /// The values of variables that are secrets.
    pub(super) fn secrets(&self) -> Vec<String> {
        let env = self.world().env.iter();
        let secrets = env.filter(|(name, value)| name.starts_with(SECRET) && value.len() >= SHORTEST);
        secrets.map(|(_, value)| value.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_text_ends_the_script_that_it_stands_in() {
        let text = safe(&json!({"a": "</script><!--", "b": "\u{2028}"}), &[]);
        assert_eq!(text, r#"{"a":"\u003c/script>\u003c!--","b":"\u2028"}"#);
    }

    #[test]
    fn secrets_do_not_stay() {
        let secrets = ["pass\"word".to_owned(), "abc\\d".to_owned()];
        let text = safe(&json!({"a": "x pass\"word y", "b": "abc\\d"}), &secrets);
        assert_eq!(text, r#"{"a":"x ***** y","b":"*****"}"#);
    }

    #[test]
    fn no_script_ends_itself() {
        for script in SCRIPTS {
            assert!(!script.to_lowercase().contains("</script"), "{}", &script[..60]);
        }
    }
}
