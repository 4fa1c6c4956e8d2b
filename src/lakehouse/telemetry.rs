//! What did a run spend its time on, for whoever gathers traces?
//!
//! OpenTelemetry's spans, as OTLP says them in JSON over HTTP: one for the run, and in it one for planning, one for each
//! step, one for publishing. Nothing is told unless a standard variable says to whom. What is gathered is sent when the run
//! is over; a collector that does not answer is waited for a moment, and changes nothing of the run.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Built, Lakehouse, post_json_once};
use crate::base::{Ending, Event, Result, Step, Stop, Watch, World, after};

/// The collector that is meant if only `OTEL_TRACES_EXPORTER=otlp` is said.
const USUAL: &str = "http://localhost:4318";
/// Spans that are sent in one document.
const AT_ONCE: usize = 2_000;
/// How long the collector is waited for, if nobody says.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where traces go, and what is said of their sender.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Collector {
    url: String,
    headers: Vec<(String, String)>,
    resource: Vec<(String, String)>,
    patience: Duration,
}

impl Collector {
    /// As the standard variables have it; nothing if nobody listens.
    ///
    /// # Errors
    /// What is asked for and not to be had, in words.
    fn of(env: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        let said = |name: &str| env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let either = |name: &str| {
            let own = said(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
            own.or_else(|| said(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        if said("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let base = |url: &str| format!("{}/v1/traces", url.trim_end_matches('/'));
        let url = said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").map(str::to_owned);
        let url = url.or_else(|| said("OTEL_EXPORTER_OTLP_ENDPOINT").map(base));
        let url = match (said("OTEL_TRACES_EXPORTER"), url) {
            (Some("none"), _) | (None, None) => return Ok(None),
            (Some("otlp") | None, Some(url)) => url,
            (Some("otlp"), None) => base(USUAL),
            (Some(other), _) => {
                return Err(format!(
                    "OTEL_TRACES_EXPORTER={other} is not supported, only otlp and none are; nothing was sent"
                ));
            }
        };
        match either("PROTOCOL") {
            // A collector that takes protobuf at this address takes JSON there too, by its content type.
            None | Some("http/json" | "http/protobuf") => {}
            Some(other) => {
                return Err(format!(
                    "the protocol {other} is not supported: give OTEL_EXPORTER_OTLP_PROTOCOL=http/json and the \
                     collector's port for HTTP (4318); nothing was sent"
                ));
            }
        }
        let mut resource = pairs(said("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
        resource.retain(|(key, _)| key != "service.name" || said("OTEL_SERVICE_NAME").is_none());
        if !resource.iter().any(|(key, _)| key == "service.name") {
            let name = said("OTEL_SERVICE_NAME").unwrap_or("elt");
            resource.push(("service.name".to_owned(), name.to_owned()));
        }
        let millis = either("TIMEOUT").and_then(|millis| millis.parse().ok());
        Ok(Some(Self {
            url,
            headers: pairs(either("HEADERS").unwrap_or_default()),
            resource,
            patience: millis.map_or(PATIENCE, Duration::from_millis),
        }))
    }
}

/// `key=value,key=value`, values escaped as in addresses.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decoded =
        |text: &str| percent_encoding::percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.trim().to_owned(), decoded(value))).collect()
}

/// The trace that this run is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parent {
    trace: String,
    span: String,
    is_sampled: bool,
}

/// Reads `00-<trace>-<span>-<flags>`; nothing if it is no such text.
fn parent(text: &str) -> Option<Parent> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_id = |id: &str, length: usize| {
        let is_hex = id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        id.len() == length && is_hex && id.bytes().any(|byte| byte != b'0')
    };
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let is_well = version.len() == 2 && version != "ff" && is_id(trace, 32) && is_id(span, 16);
    is_well.then(|| Parent { trace: trace.to_owned(), span: span.to_owned(), is_sampled: flags & 1 == 1 })
}

/// A piece of work, as it is told.
struct Span {
    name: String,
    began: DateTime<Utc>,
    ended: DateTime<Utc>,
    ended_as: EndedAs,
    attributes: Vec<(&'static str, Value)>,
}

/// How something ended, of which a span is told.
enum EndedAs {
    Well,
    /// It was not done, and nothing is wrong with it.
    Undone,
    Badly(String),
}

impl EndedAs {
    fn of(error: Option<String>) -> Self {
        error.map_or(Self::Well, Self::Badly)
    }
}

#[derive(Default)]
struct Known {
    spans: Vec<Span>,
    open: BTreeMap<Step, DateTime<Utc>>,
    is_planned: bool,
    publishing: Option<DateTime<Utc>>,
}

/// Gathers the spans of one run, between it and whoever watches it.
pub(super) struct Tracer<'a> {
    world: &'a World,
    watch: &'a dyn Watch,
    collector: Collector,
    parent: Option<Parent>,
    run: String,
    command: &'static str,
    began: DateTime<Utc>,
    known: Mutex<Known>,
}

impl<'a> Tracer<'a> {
    /// Begins a trace, if somebody is to be told.
    pub(super) fn of(
        lakehouse: &'a Lakehouse,
        run: &str,
        command: &'static str,
        watch: &'a dyn Watch,
    ) -> Option<Self> {
        let world = lakehouse.world();
        let collector = match Collector::of(&world.env) {
            Ok(collector) => collector?,
            Err(why) => {
                watch.on(Event::Note(format!("traces: {why}")));
                return None;
            }
        };
        let parent = world.env.get("TRACEPARENT").and_then(|text| parent(text));
        if parent.as_ref().is_some_and(|parent| !parent.is_sampled) {
            return None;
        }
        let (run, began) = (run.to_owned(), world.now());
        Some(Self { world, watch, collector, parent, run, command, began, known: Mutex::default() })
    }

    /// Sends what was gathered. The run is over, and nothing of it depends on this.
    pub(super) async fn send(&self, built: &Result<Built>) {
        let documents = self.documents(built);
        let sent = async {
            for document in &documents {
                post_json_once(&self.collector.url, document, &self.collector.headers).await?;
            }
            Ok(())
        };
        let why = tokio::select! {
            sent = sent => sent.err(),
            () = after(self.collector.patience) => {
                Some(format!("no answer within {:?}", self.collector.patience))
            }
        };
        if let Some(why) = why {
            self.watch.on(Event::Note(format!("traces were not sent: {why}")));
        }
    }

    /// The documents to be sent.
    fn documents(&self, built: &Result<Built>) -> Vec<Value> {
        let now = self.world.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = std::mem::take(&mut *known);
        let error = match built {
            Ok(built) if built.is_well() => None,
            Ok(_) => Some("not everything of it is well".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        let mut attributes = vec![("elt.run_id", json!(self.run)), ("elt.command", json!(self.command))];
        if let Ok(built) = built {
            attributes.extend(built.release.as_ref().map(|release| ("elt.release", json!(release.number.0))));
        }
        let whole = Span {
            name: format!("elt {}", self.command),
            began: self.began,
            ended: now,
            ended_as: EndedAs::of(error.clone()),
            attributes,
        };
        let open = known.open.into_iter().map(|(step, began)| {
            let why = error.clone().unwrap_or_else(|| "it did not come to its end".to_owned());
            of_step(&step, (began, now), EndedAs::Badly(why))
        });
        let publishing = known.publishing.map(|began| {
            let ended_as = match built {
                Err(error) => EndedAs::Badly(error.to_string()),
                Ok(built) if built.release.is_none() => EndedAs::Undone,
                Ok(_) => EndedAs::Well,
            };
            Span { name: "publish".to_owned(), began, ended: now, ended_as, attributes: Vec::new() }
        });
        let parts: Vec<Span> = known.spans.into_iter().chain(open).chain(publishing).collect();
        let trace = match &self.parent {
            Some(parent) => parent.trace.clone(),
            None => id(&[&self.run, "trace"], 16),
        };
        let root = id(&[&trace, &self.run, "run"], 8);
        let said = |span: &Span, own: &str, above: Option<&str>| {
            let nanos = |at: DateTime<Utc>| at.timestamp_nanos_opt().unwrap_or_default().to_string();
            let mut told = json!({
                "traceId": trace,
                "spanId": own,
                "name": span.name,
                "kind": 1,
                "startTimeUnixNano": nanos(span.began),
                "endTimeUnixNano": nanos(span.ended.max(span.began)),
                "attributes": span.attributes.iter().map(|(key, value)| attribute(key, value)).collect::<Vec<_>>(),
                "status": match &span.ended_as {
                    EndedAs::Badly(why) => json!({"code": 2, "message": why}),
                    EndedAs::Well => json!({"code": 1}),
                    EndedAs::Undone => json!({}),
                },
            });
            if let Some(above) = above {
                told["parentSpanId"] = above.into();
            }
            told
        };
        let first = said(&whole, &root, self.parent.as_ref().map(|parent| parent.span.as_str()));
        let rest = parts.iter().enumerate().map(|(at, span)| {
            let own = id(&[&trace, &self.run, &span.name, &at.to_string()], 8);
            said(span, &own, Some(&root))
        });
        let all: Vec<Value> = std::iter::once(first).chain(rest).collect();
        let resource = self.collector.resource.iter();
        let resource: Vec<Value> = resource.map(|(key, value)| attribute(key, &json!(value))).collect();
        let document = |spans: &[Value]| {
            json!({"resourceSpans": [{
                "resource": {"attributes": resource},
                "scopeSpans": [{
                    "scope": {"name": "elt", "version": env!("CARGO_PKG_VERSION")},
                    "spans": spans,
                }],
            }]})
        };
        all.chunks(AT_ONCE).map(document).collect()
    }
}

/// A step, as it is told.
fn of_step(step: &Step, (began, ended): (DateTime<Utc>, DateTime<Utc>), ended_as: EndedAs) -> Span {
    let mut attributes = vec![("elt.kind", json!(step.kind)), ("elt.name", json!(step.name))];
    attributes.extend(step.node.as_ref().map(|node| ("elt.node", json!(node))));
    Span { name: format!("{} {}", step.kind, step.name), began, ended, ended_as, attributes }
}

/// An id that follows from what it is of: the first bytes of a hash, in hexadecimal.
fn id(of: &[&str], bytes: usize) -> String {
    let mut hash = Sha256::new();
    for part in of {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize()[..bytes].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An attribute, as OTLP says its value.
fn attribute(key: &str, value: &Value) -> Value {
    let value = match value {
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::Bool(flag) => json!({"boolValue": flag}),
        Value::String(text) => json!({"stringValue": text}),
        other => json!({"stringValue": other.to_string()}),
    };
    json!({"key": key, "value": value})
}

impl Watch for Tracer<'_> {
    fn on(&self, event: Event) {
        {
            let now = self.world.now();
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            match &event {
                Event::Begun(_) if !std::mem::replace(&mut known.is_planned, true) => {
                    known.spans.push(Span {
                        name: "plan".to_owned(),
                        began: self.began,
                        ended: now,
                        ended_as: EndedAs::Well,
                        attributes: Vec::new(),
                    })
                }
                Event::Started(step) => drop(known.open.insert(step.clone(), now)),
                Event::Finished { step, ending, detail, took, told } => {
                    let took = chrono::Duration::from_std(*took).unwrap_or_default();
                    let began = known.open.remove(step).unwrap_or(now - took);
                    let said = told.as_ref().and_then(|told| told.message.clone());
                    let ended_as = match ending {
                        Ending::Failed => EndedAs::Badly(said.unwrap_or_else(|| detail.clone())),
                        Ending::Done | Ending::Warned => EndedAs::Well,
                        Ending::Skipped => EndedAs::Undone,
                    };
                    let mut span = of_step(step, (began, now), ended_as);
                    if let Some(told) = told {
                        span.attributes.push(("elt.status", json!(told.status)));
                        span.attributes.extend(told.rows.map(|rows| ("elt.rows", json!(rows))));
                    }
                    known.spans.push(span);
                }
                Event::Publishing => known.publishing = Some(now),
                Event::Published | Event::NotPublished => {
                    if let Some(began) = known.publishing.take() {
                        let name = "publish".to_owned();
                        let is_out = matches!(event, Event::Published);
                        known.spans.push(Span {
                            name,
                            began,
                            ended: now,
                            ended_as: if is_out { EndedAs::Well } else { EndedAs::Undone },
                            attributes: Vec::new(),
                        });
                    }
                }
                _ => {}
            }
        }
        self.watch.on(event);
    }

    fn called_off(&self) -> Pin<Box<dyn Future<Output = Stop> + Send + '_>> {
        self.watch.called_off()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collector(env: &[(&str, &str)]) -> Result<Option<Collector>, String> {
        Collector::of(&env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn nobody_is_told_unless_a_variable_says_whom() {
        let address = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
        assert_eq!(collector(&[]), Ok(None));
        assert_eq!(collector(&[address, ("OTEL_SDK_DISABLED", "true")]), Ok(None));
        assert_eq!(collector(&[address, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
        assert!(collector(&[address, ("OTEL_TRACES_EXPORTER", "zipkin")]).is_err());
        assert!(collector(&[address, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).is_err());
        let url = |env: &[(&str, &str)]| collector(env).unwrap().unwrap().url;
        assert_eq!(url(&[address]), "http://c:4318/v1/traces");
        assert_eq!(url(&[address, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/x")]), "http://t/x");
        assert_eq!(url(&[("OTEL_TRACES_EXPORTER", "otlp")]), "http://localhost:4318/v1/traces");
        let told = collector(&[
            address,
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, y = z"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,team=data"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "700"),
        ]);
        let told = told.unwrap().unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(told.headers, [pair("authorization", "Bearer x"), pair("y", "z")]);
        assert_eq!(told.resource, [pair("service.name", "a"), pair("team", "data")]);
        assert_eq!(told.patience, Duration::from_millis(700));
    }

    #[test]
    fn a_parent_is_read_or_left_out() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let read = parent(&format!("00-{trace}-{span}-01")).unwrap();
        assert_eq!((read.trace.as_str(), read.span.as_str(), read.is_sampled), (trace, span, true));
        assert!(!parent(&format!("00-{trace}-{span}-00")).unwrap().is_sampled);
        for wrong in ["", "00-x-y-01", &format!("ff-{trace}-{span}-01"), &format!("00-{:032}-{span}-01", 0)] {
            assert_eq!(parent(wrong), None, "{wrong}");
        }
    }
}
