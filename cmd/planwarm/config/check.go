package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// checker collects faults, each naming key and value.
type checker struct{ faults Faults }

func (c *checker) fault(key, format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
}

func (c *checker) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.fault(key, "%q is none of %s", value, strings.Join(allowed, ", "))
	}
}

func (c *checker) positive(key string, v int64) {
	if v <= 0 {
		c.fault(key, "%d is not above zero", v)
	}
}

func (c *checker) notNegative(key string, v Duration) {
	if v < 0 {
		c.fault(key, "%s is negative", v.Std())
	}
}

func (c *checker) above(key string, v Duration) {
	if v <= 0 {
		c.fault(key, "%s is not above zero", v.Std())
	}
}

// address checks host:port; empty is off.
func (c *checker) address(key, v string) {
	if v == "" {
		return
	}
	if _, _, err := net.SplitHostPort(v); err != nil {
		c.fault(key, "%q is not host:port", v)
	}
}

func (c *checker) url(key, v string, schemes ...string) {
	if v == "" {
		return
	}
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme) {
		c.fault(key, "not a URL with %s and a host", strings.Join(schemes, " or "))
	}
}

func (c *checker) file(key, v string) {
	if v == "" {
		return
	}
	if err := readable(v); err != nil {
		c.fault(key, "%q cannot be read: %v", v, err)
	}
}

// secretFile is file for one that holds a secret. What is configured is not
// repeated: who took the key for one that takes the secret itself would find it
// in the log.
func (c *checker) secretFile(key, v string) {
	if v == "" {
		return
	}
	if err := readable(v); err != nil {
		c.fault(key, "the file that it names cannot be read: %v", err)
	}
}

// readable returns why a file cannot be read, without its name.
func readable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return errors.New("it is a directory")
	case err == nil && !info.Mode().IsRegular():
		return nil // to open a pipe would wait for its other end
	case err == nil:
		var f *os.File
		if f, err = os.Open(path); err == nil {
			return f.Close()
		}
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// check returns every fault of a decoded configuration.
func (c Config) check() Faults {
	var k checker
	if c.DataDir == "" {
		k.fault("data_dir", "is empty")
	}
	for i, r := range c.Roles {
		k.oneOf(fmt.Sprintf("roles[%d]", i), string(r), string(RolePublish), string(RoleWarm))
	}
	if len(c.Roles) == 0 {
		k.fault("roles", "is empty: publish, warm or both")
	}
	seen := map[string]bool{}
	for i, g := range c.Graphs {
		key := fmt.Sprintf("graphs[%d]", i)
		if id := g.Namespace + "/" + g.Name; seen[id] {
			k.fault(key, "graph %s is there twice", id)
		} else {
			seen[id] = true
		}
		g.check(&k, key)
		c.checkCosmo(&k, key, g)
		if g.Cosmo.OrganizationID != "" && g.Cosmo.JWTSecretFile == "" && g.Cosmo.TokenFile == "" && !loopback(c.CDN.Listen) {
			k.fault(key+".cosmo", "needs jwt_secret_file or token_file: cdn.listen %q is reachable from outside", c.CDN.Listen)
		}
	}
	k.name("instance", c.Instance)
	c.checkListeners(&k)
	c.checkPorts(&k)
	c.checkBucket(&k)
	c.Webhooks.check(&k)
	k.oneOf("telemetry.keep_text", c.Telemetry.KeepText, KeepLifted, KeepExact)
	k.positive("telemetry.max_operations", int64(c.Telemetry.MaxOperations))
	k.positive("telemetry.max_text", int64(c.Telemetry.MaxText))
	k.positive("telemetry.otlp.max_bytes", int64(c.Telemetry.OTLP.MaxBytes))
	k.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", c.Log.Format, "json", "console")
	return k.faults
}

func (g Graph) check(k *checker, key string) {
	k.name(key+".namespace", g.Namespace)
	k.name(key+".name", g.Name)
	switch {
	case g.Schema.File != "" && g.Schema.URL != "":
		k.fault(key+".schema", "file and url exclude each other")
	case g.Schema.File == "" && g.Schema.URL == "":
		k.fault(key+".schema", "needs file or url")
	}
	k.url(key+".schema.url", g.Schema.URL, "http", "https")
	k.interval(key+".schema.poll", g.Schema.Poll)
	k.secretFile(key+".schema.token_file", g.Schema.TokenFile)
	k.secretFile(key+".cosmo.jwt_secret_file", g.Cosmo.JWTSecretFile)
	k.secretFile(key+".cosmo.token_file", g.Cosmo.TokenFile)
	if (g.Cosmo.OrganizationID == "") != (g.Cosmo.FederatedGraphID == "") {
		k.fault(key+".cosmo", "organization_id and federated_graph_id belong together")
	}
	g.checkCosmo(k, key)
	checkReplicas(k, key+".routers", g.Routers)
	g.checkProfiles(k, key+".profiles")
	for i, r := range g.Routers {
		r.check(k, fmt.Sprintf("%s.routers[%d]", key, i))
	}
	g.Manifest.check(k, key+".manifest")
	g.Warm.check(k, key+".warm")
}

func (r Router) check(k *checker, key string) {
	k.oneOf(key+".kind", string(r.Kind), routerKinds()...)
	r.checkExecution(k, key)
	r.checkResolve(k, key)
	if r.Kind == RouterApolloGateway && r.TokenFile == "" {
		k.fault(key+".token_file", "is empty: the hook refuses requests without its token")
	}
	k.notNegative(key+".plan_lifetime", r.PlanLifetime)
	if r.URL == "" {
		k.fault(key+".url", "is empty")
	}
	k.url(key+".url", r.URL, "http", "https")
	k.bare(key+".url", r.URL, "token_file")
	k.url(key+".ready_url", r.ReadyURL, "http", "https")
	k.url(key+".metrics_url", r.MetricsURL, "http", "https")
	k.secretFile(key+".token_file", r.TokenFile)
	if r.PlanCacheSize < 0 {
		k.fault(key+".plan_cache_size", "%d is negative", r.PlanCacheSize)
	}
	k.rate(key+".pull.items_per_second", r.Pull.ItemsPerSecond)
	k.notNegative(key+".pull.timeout", r.Pull.Timeout)
	if r.Pull.FeatureFlags < 0 || r.Pull.FeatureFlags > maxFeatureFlags {
		k.fault(key+".pull.feature_flags", "%d is not between 0 and %d", r.Pull.FeatureFlags, maxFeatureFlags)
	}
}

func (m Manifest) check(k *checker, key string) {
	// What a manifest cannot be built with would fail at each recompute.
	for _, fault := range m.Settings().Faults() {
		k.faults = append(k.faults, fmt.Errorf("%s.%w", key, fault))
	}
	if m.Window <= 0 || m.Window > Duration(7*24*time.Hour) {
		k.fault(key+".window", "%s is not above zero and at most 168h", m.Window.Std())
	}
	k.notNegative(key+".horizon", m.Horizon)
	k.notNegative(key+".budget", m.Budget)
	k.interval(key+".recompute_interval", m.RecomputeInterval)
	k.notNegative(key+".min_publish_interval", m.MinPublishInterval)
	k.secretFile(key+".signing_key_file", m.SigningKeyFile)
	k.file(key+".verify_key_file", m.VerifyKeyFile)
}

func (w Warm) check(k *checker, key string) {
	k.oneOf(key+".fallback", w.Fallback, "snapshot", "off")
	if w.Limit < 0 {
		k.fault(key+".limit", "%d is negative", w.Limit)
	}
	if w.Concurrency < 0 || w.Concurrency > 256 {
		k.fault(key+".concurrency", "%d is not between 0 and 256", w.Concurrency)
	}
	k.rate(key+".operations_per_second", w.OperationsPerSecond)
	k.above(key+".deadline", w.Deadline)
	k.above(key+".ready_timeout", w.ReadyTimeout)
	k.notNegative(key+".interval", w.Interval)
	k.interval(key+".poll", w.Poll)
	k.notNegative(key+".jitter", w.Jitter)
}

// checkListeners asks for a token wherever control or telemetry is reachable from outside.
func (c Config) checkListeners(k *checker) {
	for _, l := range []struct{ key, addr, token string }{
		{"telemetry.otlp.http", c.Telemetry.OTLP.HTTP, c.Telemetry.OTLP.TokenFile},
		{"telemetry.otlp.grpc", c.Telemetry.OTLP.GRPC, c.Telemetry.OTLP.TokenFile},
		{"admin.listen", c.Admin.Listen, c.Admin.TokenFile},
		{"cdn.listen", c.CDN.Listen, c.CDN.TokenFile},
	} {
		k.address(l.key, l.addr)
		if l.addr != "" && l.token == "" && !loopback(l.addr) {
			k.fault(l.key, "%q is reachable from outside: it needs a token_file", l.addr)
		}
	}
	k.address("health.listen", c.Health.Listen)
	k.secretFile("telemetry.otlp.token_file", c.Telemetry.OTLP.TokenFile)
	k.secretFile("admin.token_file", c.Admin.TokenFile)
	k.secretFile("cdn.token_file", c.CDN.TokenFile)
	k.url("cdn.url", c.CDN.URL, "http", "https")
	k.url("cdn.upstream", c.CDN.Upstream, "http", "https")
}

// bucketKeys are where the secrets of a bucket belong.
const bucketKeys = "access_key_file and secret_key_file"

func (c Config) checkBucket(k *checker) {
	if c.Bucket.URL != EmbeddedBucket {
		k.url("bucket.url", c.Bucket.URL, "s3")
		k.bare("bucket.url", c.Bucket.URL, bucketKeys)
		if c.Bucket.URL == "" {
			k.fault("bucket.url", "is empty: embedded or s3://bucket/prefix")
		}
	} else if c.Bucket.Endpoint != "" {
		k.fault("bucket.endpoint", "has no meaning for the embedded bucket")
	}
	k.url("bucket.endpoint", c.Bucket.Endpoint, "http", "https")
	k.bare("bucket.endpoint", c.Bucket.Endpoint, bucketKeys)
	k.secretFile("bucket.access_key_file", c.Bucket.AccessKeyFile)
	k.secretFile("bucket.secret_key_file", c.Bucket.SecretKeyFile)
	if (c.Bucket.AccessKeyFile == "") != (c.Bucket.SecretKeyFile == "") {
		k.fault("bucket", "access_key_file and secret_key_file belong together")
	}
	if c.Bucket.Region == "" {
		k.fault("bucket.region", "is empty")
	}
	if c.Bucket.Retention < 2 {
		k.fault("bucket.retention", "%d is below 2: a rollback needs an older version", c.Bucket.Retention)
	}
}

// loopback says whether an address is reachable from this machine alone.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
