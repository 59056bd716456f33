//! Release manifests: the envelope and the statement in it.
#![no_main]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rootstamp::manifest::{self, Envelope};
use rootstamp_fuzz::{file, show};

fn look(envelope: &Envelope) {
    match envelope.unverified() {
        Ok(release) => show(&release.explain(false)),
        Err(problem) => show(&problem),
    }
    let _ = (envelope.signed_bytes(), envelope.vouched(&[], 1));
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match manifest::read(&file("fuzz.json", data)) {
        Ok(envelope) => look(&envelope),
        Err(problem) => show(&problem),
    }
    // The same bytes as the statement itself, which no mutation finds behind base64.
    let payload = STANDARD.encode(data);
    let wrapped = format!(
        r#"{{"payload":"{payload}","payloadType":"application/vnd.in-toto+json","signatures":[{{"sig":"AAAA"}}]}}"#
    );
    if let Ok(envelope) = manifest::read(&file("wrapped.json", wrapped.as_bytes())) {
        look(&envelope);
    }
});
