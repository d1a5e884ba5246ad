package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cnnlab/backend/internal/quiet"
	"cnnlab/backend/internal/testmodels"
)

// models are made once for all tests of the package.
var models testmodels.Models

// mainVariable makes the program of the tests the server itself.
const mainVariable = "CNNLAB_TEST_MAIN"

func TestMain(m *testing.M) {
	quiet.Start()
	misbehave(os.Getenv(childVariable))
	if os.Getenv(mainVariable) != "" {
		main()
		return
	}
	_ = os.Setenv(mainVariable, "1") // for the processes that it starts, those that check models
	testmodels.Main(m, &models)
}

// command returns the server as a process of its own, started as a user starts it.
func command(t *testing.T, output io.Writer, args ...string) *exec.Cmd {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), own, args...)
	process.Stderr = output
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "TF_CPP_MIN_LOG_LEVEL=") {
			process.Env = append(process.Env, variable)
		}
	}
	return process
}

// Signals do what they should, and nothing but the log's own lines comes out: the start-up notes of
// TensorFlow do not, whoever wrote them when.
func TestProcess(t *testing.T) {
	var output log
	process := command(t, &output, "--model", models.Path("model"), "--addr", "127.0.0.1:0")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	output.wait(t, "ready", 1)
	for _, signal := range []os.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		if err := process.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if signal == syscall.SIGHUP {
			output.wait(t, "ready", 2)
		}
	}
	if err := process.Wait(); err != nil {
		t.Error(err)
	}
	output.wait(t, "stopped", 1)
}

func TestProcessWithoutAModel(t *testing.T) {
	var output bytes.Buffer
	process := command(t, &output, "--model", t.TempDir(), "--addr", "127.0.0.1:0")
	if err := process.Run(); err == nil || process.ProcessState.ExitCode() != 1 {
		t.Errorf("it ended with %v", err)
	}
	if lines := strings.Split(strings.TrimSpace(output.String()), "\n"); !strings.HasPrefix(
		lines[len(lines)-1], "cnnlab-server: contract.json in ") {
		t.Errorf("it wrote %q", lines)
	}
}

// log is what the program writes, for readers at the same time.
type log struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *log) Write(line []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(line)
}

// entries returns the lines with a message.
func (l *log) entries(t *testing.T, message string) []map[string]any {
	t.Helper()
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var found []map[string]any
	for line := range strings.Lines(l.text.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%q is no JSON: %v", line, err)
		}
		if entry["msg"] == message {
			found = append(found, entry)
		}
	}
	return found
}

func (l *log) wait(t *testing.T, message string, count int) map[string]any {
	t.Helper()
	for range 3000 {
		if entries := l.entries(t, message); len(entries) >= count {
			return entries[count-1]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%q did not come %d times in\n%s", message, count, l.text.String())
	return nil
}

// program is a running server.
type program struct {
	log    log
	reload chan os.Signal
	stop   context.CancelFunc
	ended  chan error
	url    string
}

func start(t *testing.T, environment map[string]string, args ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := &program{reload: make(chan os.Signal, 1), stop: stop, ended: make(chan error, 1)}
	args = append([]string{"--addr", "127.0.0.1:0", "--drain", "50ms"}, args...)
	lookUp := func(name string) (string, bool) { text, set := environment[name]; return text, set }
	go func() { p.ended <- run(ctx, args, lookUp, &p.log, p.reload) }()
	p.log.wait(t, "ready", 1)
	p.url = "http://" + p.log.wait(t, "listening", 1)["addr"].(string)
	t.Cleanup(func() { p.end(t) })
	return p
}

// end stops the program as SIGTERM does.
func (p *program) end(t *testing.T) {
	t.Helper()
	p.stop()
	select {
	case err := <-p.ended:
		if err != nil {
			t.Error(err)
		}
		p.ended <- nil
	case <-time.After(30 * time.Second):
		t.Error("the program does not end")
	}
}

// predict sends an image and returns the status, the label or the code, and the model.
func (p *program) predict(t *testing.T, image []byte) (status int, label, model string) {
	t.Helper()
	response, err := http.Post(p.url+"/v1/predict", "", bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body struct {
		Label   string
		ModelID string `json:"model_id"`
		Error   struct{ Code string }
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body.Label + body.Error.Code, body.ModelID
}

func TestServesAModel(t *testing.T) {
	p := start(t, nil, "--model", models.Path("model"), "--workers", "1",
		"--intra-op-threads", "1", "--inter-op-threads", "1")
	if !strings.HasPrefix(p.url, "http://127.0.0.1:") {
		t.Errorf("it listens on %s", p.url)
	}
	for name, answer := range models.Answers(t, "model") {
		status, label, _ := p.predict(t, models.Image(t, name))
		var expected struct{ Label string }
		if json.Unmarshal(answer, &expected) != nil {
			_ = json.Unmarshal(answer, &expected.Label) // a refusal is its code
		}
		if label != expected.Label || (status == 200) != (answer[0] == '{') {
			t.Errorf("%s: got %d %s: expected %s", name, status, label, expected.Label)
		}
	}
}

// The folder gets another model, then a damaged one: the answers change with the first signal, and
// not with the second.
func TestReload(t *testing.T) {
	folder := models.Copy(t, "model")
	p := start(t, nil, "--model", folder)
	image := models.Image(t, "0-RGB.jpeg")
	_, _, first := p.predict(t, image)
	replaceFolder(t, models.Path("other"), folder)
	p.reload <- syscall.SIGHUP
	p.log.wait(t, "ready", 2)
	status, label, second := p.predict(t, image)
	var expected struct{ Label string }
	if err := json.Unmarshal(models.Answers(t, "other")["0-RGB.jpeg"], &expected); err != nil {
		t.Fatal(err)
	}
	if status != 200 || second == first || label != expected.Label {
		t.Errorf("after the reload: %d %s of %s: expected %s", status, label, second, expected.Label)
	}
	for number, damage := range []struct {
		named string
		do    func()
	}{
		{"image_size is 1000000000", func() { enlarge(t, folder) }}, // an allocation size
		{"card.md", func() {
			replaceFolder(t, models.Path("other"), folder)
			if err := os.Remove(filepath.Join(folder, "card.md")); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		damage.do()
		p.reload <- syscall.SIGHUP
		refused := p.log.wait(t, "reload refused, the old model goes on", number+1)
		if text, _ := refused["error"].(string); !strings.Contains(text, damage.named) {
			t.Errorf("the log does not say %s: %v", damage.named, refused)
		}
		if status, _, third := p.predict(t, image); status != 200 || third != second {
			t.Errorf("after %s: %d from %s: expected %s", damage.named, status, third, second)
		}
	}
}

// enlarge makes the contract of a model folder promise images of a billion pixels a side.
func enlarge(t *testing.T, folder string) {
	t.Helper()
	path := filepath.Join(folder, "contract.json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Replace(content, []byte(`"image_size": 16,`), []byte(`"image_size": 1000000000,`), 1)
	if err := os.WriteFile(path, other, 0o600); err != nil || bytes.Equal(other, content) {
		t.Fatalf("%v, or the contract has no image_size of 16", err)
	}
}

func replaceFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// A request whose body is still under way when the end comes is answered.
func TestTheEndFinishesWhatIsInFlight(t *testing.T) {
	p := start(t, nil, "--model", models.Path("model"))
	image := models.Image(t, "0-RGB.jpeg")
	reader, writer := io.Pipe()
	statuses := make(chan int)
	go func() {
		response, err := http.Post(p.url+"/v1/predict", "image/jpeg", reader)
		if err != nil {
			t.Error(err)
			statuses <- 0
			return
		}
		response.Body.Close()
		statuses <- response.StatusCode
	}()
	if _, err := writer.Write(image[:10]); err != nil {
		t.Fatal(err)
	}
	p.stop()
	p.log.wait(t, "stopping", 1)
	for range 3000 { // until the door is closed
		connection, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			break
		}
		connection.Close()
		time.Sleep(time.Millisecond)
	}
	if _, err := writer.Write(image[10:]); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	if status := <-statuses; status != 200 {
		t.Errorf("got %d: expected 200", status)
	}
	p.end(t)
}

func TestToken(t *testing.T) {
	p := start(t, map[string]string{tokenVariable: " secret\n"}, "--model", models.Path("model"))
	if status, code, _ := p.predict(t, models.Image(t, "0-RGB.jpeg")); status != 401 {
		t.Errorf("got %d %s: expected 401", status, code)
	}
	request, err := http.NewRequest("GET", p.url+"/v1/model", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer secret")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("got %d: expected 200", response.StatusCode)
	}
}

func TestDoesNotStart(t *testing.T) {
	damaged := models.Copy(t, "model")
	if err := os.WriteFile(filepath.Join(damaged, "card.md"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	model := models.Path("model")
	for name, test := range map[string]struct {
		args     []string
		expected string
	}{
		"damaged":       {[]string{"--model", damaged}, "card.md"},
		"missing":       {[]string{"--model", damaged + "s"}, "no model folder"},
		"no model":      {nil, "--model"},
		"argument":      {[]string{"--model", model, "more"}, "more"},
		"flag":          {[]string{"--token", "secret"}, "not defined"},
		"range":         {[]string{"--model", model, "--queue", "0"}, "--queue is 0: expected 1 to"},
		"negative":      {[]string{"--model", model, "--workers", "-1"}, "--workers"},
		"overflow":      {[]string{"--model", model, "--queue", "9223372036854775807"}, "--queue"},
		"as 0":          {[]string{"--model", model, "--intra-op-threads", "4294967296"}, "--intra-op"},
		"endless":       {[]string{"--model", model, "--read-timeout", "2562047h"}, "to 24h0m0s"},
		"cache":         {[]string{"--model", model, "--cache-bytes", "-1"}, "--cache-bytes"},
		"all memory":    {[]string{"--model", model, "--max-body-bytes", "9223372036854775807"}, "--max-body"},
		"empty token":   {[]string{"--model", model, "--token-file", empty}, "no token"},
		"missing token": {[]string{"--model", model, "--token-file", empty + "s"}, "token"},
		"taken":         {[]string{"--model", model, "--addr", taken.Addr().String()}, "in use"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"--addr", "127.0.0.1:0"}, test.args...)
			none := func(string) (string, bool) { return "", false }
			err := run(t.Context(), args, none, io.Discard, nil)
			if err == nil || !strings.Contains(err.Error(), test.expected) {
				t.Errorf("got %v: expected an error about %s", err, test.expected)
			}
		})
	}
}
