//! stub: The machine is walked.
