package artifact

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Python makes a hundred hostile graphs and asks this code, too: tests/backend/test_go_graph.py.

func TestGraphsOfModels(t *testing.T) {
	for _, model := range []string{"model", "other", "earlier"} {
		content, err := os.ReadFile(models.Path(model, "saved_model", "saved_model.pb"))
		must(t, err)
		if err := CheckGraph(content); err != nil {
			t.Errorf("%s: %v", model, err)
		}
		changed := strings.ReplaceAll(string(content), "DecodeJpeg", "ReadMyFile")
		err = CheckGraph([]byte(changed))
		if err == nil || !strings.Contains(err.Error(), `the operation "ReadMyFile" in function`) {
			t.Errorf("%s: an unknown operation gives %v", model, err)
		}
	}
}

func TestFilesBesideTheGraph(t *testing.T) {
	folder := models.Copy(t, "model")
	files := map[string]string{}
	for _, name := range graphFiles {
		files[name] = ""
	}
	must(t, checkGraph(folder, files))
	for _, name := range []string{"saved_model.pbtxt", "saved_model.cpb", "assets/x"} {
		files["saved_model/"+name] = ""
		err := checkGraph(folder, files)
		var refused *Refused
		if !errors.As(err, &refused) || refused.Code != CodeForeign {
			t.Errorf("%s beside the graph: got %v", name, err)
		}
		delete(files, "saved_model/"+name)
	}
	delete(files, "saved_model/fingerprint.pb")
	if err := checkGraph(folder, files); err == nil {
		t.Error("a missing file passes")
	}
	must(t, os.Truncate(filepath.Join(folder, graphName), 100))
	if err := checkGraph(folder, files); err == nil {
		t.Error("half a graph passes")
	}
}
