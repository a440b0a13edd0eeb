# What every alert has. pint's checks that ask a running server are off: `--offline`.
rule {
  match { kind = "alerting" }
  label "severity" {
    severity = "bug"
    value    = "P[0-3]"
    required = true
  }
  label "service" {
    severity = "bug"
    required = true
  }
  annotation "summary" {
    severity = "bug"
    required = true
  }
  annotation "description" {
    severity = "bug"
    required = true
  }
  annotation "runbook" {
    severity = "bug"
    value    = "docs/runbooks/[a-z-]+\\.md"
    required = true
  }
}

# Always fires, as it should.
rule {
  match { name = "Watchdog" }
  disable = ["alerts/comparison"]
}
