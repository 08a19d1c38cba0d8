package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	contentType = "application/json"
	method      = "ZC2-HMAC-SHA256"
	version     = "2026-04-01"
)

type accessKey struct{ id, password string }

// cloud calls the provider's API.
type cloud struct {
	url, host string
	http      http.Client
}

func newCloud(endpoint string, connections int) *cloud {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// Without this, all but two connections are opened anew for each call.
	transport.MaxIdleConnsPerHost = connections
	_, host, _ := strings.Cut(endpoint, "://")
	client := http.Client{Transport: transport, Timeout: 30 * time.Second}
	return &cloud{url: endpoint + "/api/v2/vm", host: host, http: client}
}

// instanceType asks for the type of one machine.
func (c *cloud) instanceType(ctx context.Context, key accessKey, id string) (string, error) {
	var answer struct {
		DataSet []struct {
			InstanceType string `json:"instanceType"`
		} `json:"dataSet"`
	}
	request := map[string]any{"instanceIds": []string{id}, "pageSize": 1}
	if err := c.call(ctx, key, "DescribeInstances", request, &answer); err != nil {
		return "", err
	}
	if len(answer.DataSet) != 1 {
		return "", fmt.Errorf("machine %s does not exist", id)
	}
	return answer.DataSet[0].InstanceType, nil
}

// modify orders another type.
func (c *cloud) modify(ctx context.Context, key accessKey, id, to string) error {
	request := map[string]any{"instanceId": id, "instanceTypeId": to}
	return c.call(ctx, key, "ModifyInstanceType", request, &struct{}{})
}

func (c *cloud) call(ctx context.Context, key accessKey, action string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-ZC-Action", action)
	req.Header.Set("X-ZC-Version", version)
	req.Header.Set("X-ZC-Service", "vm")
	req.Header.Set("X-ZC-Timestamp", timestamp)
	req.Header.Set("X-ZC-Signature-Method", method)
	req.Header.Set("Authorization", c.authorization(key, timestamp, body))
	response, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var envelope struct {
		Code     string          `json:"code"`
		Response json.RawMessage `json:"response"`
	}
	if err := json.NewDecoder(response.Body).Decode(&envelope); err != nil {
		return fmt.Errorf("%s: status %d: %w", action, response.StatusCode, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %s", action, response.StatusCode, envelope.Code)
	}
	return json.Unmarshal(envelope.Response, answer)
}

// authorization signs a request as the provider's page "Signature Algorithm v2" says.
func (c *cloud) authorization(key accessKey, timestamp string, body []byte) string {
	const signed = "content-type;host"
	canonical := fmt.Sprintf("POST\n/\n\ncontent-type:%s\nhost:%s\n\n%s\n%s", contentType, c.host, signed, digest(body))
	mac := hmac.New(sha256.New, []byte(key.password))
	fmt.Fprintf(mac, "%s\n%s\n%s", method, timestamp, digest([]byte(canonical)))
	signature := hex.EncodeToString(mac.Sum(nil))
	return fmt.Sprintf("%s Credential=%s, SignedHeaders=%s, Signature=%s", method, key.id, signed, signature)
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
